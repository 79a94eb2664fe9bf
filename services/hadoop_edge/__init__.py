"""The edge service: one reader of the ResourceManager, one API for everyone outside the Hadoop cluster."""
