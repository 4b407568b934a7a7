"""Virtual environments and folders of packages that tests run in."""
