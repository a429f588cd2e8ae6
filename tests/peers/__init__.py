"""Real peers that tests drive: DCMTK, dicom3tools, Orthanc, strace."""
