import pytest

from hub_ext.errors import PublicError
from hub_ext.names import cluster_user, is_kernel_id, is_kernelspec_name


@pytest.mark.parametrize(
    ("hub_name", "domain", "expected"),
    [
        ("alice", "", "alice"),
        ("UPPER", "", "UPPER"),
        ("a.b-c_d9", "", "a.b-c_d9"),
        ("_svc", "", "_svc"),
        ("alice@corp.com", "corp.com", "alice"),
        ("Alice@corp.com", "corp.com", "Alice"),
        ("alice@corp.com", "@corp.com", "alice"),
    ],
)
def test_a_usable_name_becomes_the_cluster_user(hub_name, domain, expected):
    assert cluster_user(hub_name, domain) == expected


@pytest.mark.parametrize(
    ("hub_name", "domain"),
    [
        ("Alice@corp.com", ""),
        ("jürgen", ""),
        ("a b", ""),
        ("", ""),
        ("1abc", ""),
        ("-rf", ""),
        ("../x", ""),
        ("a/b", ""),
        ("a;id", ""),
        ("$(id)", ""),
        ("alice\n", ""),
        ("a" * 64, ""),
        ("alice@evil.com", "corp.com"),
        ("alice@Corp.com", "corp.com"),
        ("alice", "corp.com"),
        ("@corp.com", "corp.com"),
        ("a@x@corp.com", "corp.com"),
    ],
)
def test_any_other_name_is_refused_with_the_reason(hub_name, domain):
    with pytest.raises(PublicError) as refused:
        cluster_user(hub_name, domain)
    assert refused.value.code == "name-not-usable"
    assert refused.value.status == 403
    assert f"'{hub_name}'" in refused.value.message
    assert any(line.startswith("Reason:") for line in refused.value.details)


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("spark_python", True),
        ("Spark-3.5", True),
        ("..", False),
        (".", False),
        ("../x", False),
        ("a/b", False),
        ("a%2fb", False),
        ("", False),
        ("x\n", False),
    ],
)
def test_kernelspec_names(name, valid):
    assert is_kernelspec_name(name) is valid


def test_kernel_ids_are_canonical():
    assert is_kernel_id("f9ed359d-07f3-45e0-a3f6-b7f676625dd8")
    assert not is_kernel_id("F9ED359D-07f3-45e0-a3f6-b7f676625dd8")
    assert not is_kernel_id("f9ed359d-07f3-45e0-a3f6-b7f676625dd8/../x")
