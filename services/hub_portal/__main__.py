"""``python -m hub_portal``."""

from .app import main

if __name__ == "__main__":
    main()
