"""DICOM audit messages: read from the node's records and told to a syslog collector."""
