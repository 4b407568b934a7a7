"""Model folders that tests serve: each is trained, or copied, into a temporary directory when first asked for."""

from support.zoo.registry import ModelFolder, Zoo, folder, installed, known_folders

__all__ = ["ModelFolder", "Zoo", "folder", "installed", "known_folders"]
