"""The embedded profile: synthetic data sets and small backbones that the suite makes itself."""
