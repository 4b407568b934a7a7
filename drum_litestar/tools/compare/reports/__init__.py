"""A finished comparison as text, JSON, JUnit XML and HTML."""
