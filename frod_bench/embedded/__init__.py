"""The embedded profile: stand-in data sets and small backbones that the suite makes itself."""
