"""``python -m hadoop_edge``."""

from .app import main

if __name__ == "__main__":
    main()
