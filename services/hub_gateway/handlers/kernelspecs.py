"""The catalogue as Jupyter clients ask for it."""

import mimetypes
import re

from hub_ext.errors import PublicError

from .base import GatewayHandler

#: Kernelspec files that clients may read: pictures and Lab's own kernel.js/css are enough; kernel.json is not among
#: them.
RESOURCE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(?:png|svg|js|css)")


class KernelspecsHandler(GatewayHandler):
    """``GET …/api/kernelspecs``"""

    async def get(self, owner: str) -> None:
        default, models = await self.lifecycle.catalogue.definitions(self.person)
        self.write_json({"default": default, "kernelspecs": models})


class KernelspecHandler(GatewayHandler):
    """``GET …/api/kernelspecs/NAME``"""

    async def get(self, owner: str, kernelspec: str) -> None:
        await self.lifecycle.catalogue.definition(self.person, kernelspec)
        _, models = await self.lifecycle.catalogue.definitions(self.person)
        self.write_json(models[kernelspec])


class ResourceHandler(GatewayHandler):
    """``GET …/kernelspecs/NAME/FILE``: logos."""

    async def get(self, owner: str, kernelspec: str, file: str) -> None:
        await self.lifecycle.catalogue.definition(self.person, kernelspec)
        if not RESOURCE_FILE.fullmatch(file):
            raise PublicError("no-such-page", "There is no such file in this kernel's folder.")
        response = await self.parts.upstream.resource(kernelspec, file)
        self.set_header("Content-Type", mimetypes.guess_type(file)[0] or "application/octet-stream")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        self.finish(response.body)
