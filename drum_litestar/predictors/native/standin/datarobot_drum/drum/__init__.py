"""Stand-in for ``datarobot_drum.drum``."""
