/// The rules of `formats/vlmzd.md` that a delta, or what it is applied to, can break.
package enum DeltaRule: String, Sendable, CaseIterable {
  /// The file holds a header.
  case d01 = "D01"
  /// Magic.
  case d02 = "D02"
  /// The version is known.
  case d03 = "D03"
  /// Header_Hash.
  case d04 = "D04"
  /// Reserved bytes of the header are zero.
  case d05 = "D05"
  /// File_Size is the file's size.
  case d06 = "D06"
  /// The table ends the file, and has an operation.
  case d07 = "D07"
  /// Table_Hash.
  case d08 = "D08"
  /// The method is known, and reserved bytes are zero.
  case d09 = "D09"
  /// The length is one that the method allows.
  case d10 = "D10"
  /// The bytes of the base are there, and as many as the method takes.
  case d11 = "D11"
  /// The stored bytes are as many as the method takes, and lie before the table.
  case d12 = "D12"
  /// The stored bytes fill the file up to the table.
  case d13 = "D13"
  /// The operations make the target's size.
  case d14 = "D14"
  /// Stored_Hash.
  case d15 = "D15"
  /// One zstd frame of the length.
  case d16 = "D16"
  /// The model is the base.
  case d17 = "D17"
  /// The model is sound.
  case d18 = "D18"
  /// The frame decodes to the length.
  case d19 = "D19"
  /// Target_Hash.
  case d20 = "D20"
  /// The result is a sound container, the one that the header names.
  case d21 = "D21"
}
