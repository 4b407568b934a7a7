"""Reports of a finished comparison: text, JSON, JUnit XML and HTML."""
