"""Coded concepts we write, each with the context group it comes from (PS3.16)."""

from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Code:
    """Code value, scheme and meaning."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """The code as a sequence item (PS3.3 table 8.8-1)."""
        item = Dataset()
        item.CodeValue = self.value
        item.CodingSchemeDesignator = self.scheme
        item.CodeMeaning = self.meaning
        return item


SYNTHESIZING_EQUIPMENT = Code("109100", "DCM", "Synthesizing Equipment")  # CID 7005
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")  # CID 7005
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")  # CID 7202
SPATIAL_RESAMPLING = Code("113085", "DCM", "Spatial resampling")  # CID 7203
# CID 7203 is extensible and has no code for this; a local scheme begins with 99 (PS3.3 8.2).
MR_TO_SCT = Code("MR2SCT", "99PCTNODE", "MR to synthetic CT")
MORPHOLOGICAL_OPERATIONS = Code("123104", "DCM", "Morphological Operations")  # CID 7162
