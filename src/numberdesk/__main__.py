"""`python -m numberdesk` is the `numberdesk` command."""

from numberdesk.cli import main

if __name__ == "__main__":
    main()
