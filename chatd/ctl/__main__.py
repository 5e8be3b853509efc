"""`python -m chatd.ctl`: chatctl without its script."""

from chatd.ctl.main import main

if __name__ == "__main__":
    main()
