/// The rules of `formats/vlmz.md` that a file can break.
package enum Rule: String, Sendable, CaseIterable {
  /// The file holds a header.
  case r01 = "R01"
  /// Magic.
  case r02 = "R02"
  /// Read_Version is known.
  case r03 = "R03"
  /// Header_Hash.
  case r04 = "R04"
  /// Write_Version >= Read_Version.
  case r05 = "R05"
  /// Required_Features are known.
  case r06 = "R06"
  /// Reserved bytes of the header are zero.
  case r07 = "R07"
  /// File_Size is the file's size.
  case r08 = "R08"
  /// Section_Count is 3 to 64.
  case r09 = "R09"
  /// The table ends the file.
  case r10 = "R10"
  /// Table_Hash.
  case r11 = "R11"
  /// Kinds ascend, none is 0.
  case r12 = "R12"
  /// An unknown kind is not required.
  case r13 = "R13"
  /// Flags are the kind's.
  case r14 = "R14"
  /// Reserved fields of a table entry are zero.
  case r15 = "R15"
  /// A section starts where the one before ends, rounded up.
  case r16 = "R16"
  /// A section is not empty and ends before the table.
  case r17 = "R17"
  /// The table starts where the last section ends, rounded up.
  case r18 = "R18"
  /// Padding between sections is zero.
  case r19 = "R19"
  /// The codec is known and the kind allows it.
  case r20 = "R20"
  /// A raw section's stored and decoded sizes and hashes agree.
  case r21 = "R21"
  /// The decoded size is within the limit.
  case r22 = "R22"
  /// Required sections are present.
  case r23 = "R23"
  /// Root_Hash.
  case r24 = "R24"
  /// Stored_Hash.
  case r25 = "R25"
  /// One standard zstd frame.
  case r26 = "R26"
  /// The frame states its content size.
  case r27 = "R27"
  /// The frame's window is within the limit.
  case r28 = "R28"
  /// The frame needs no dictionary.
  case r29 = "R29"
  /// The frame fills the section.
  case r30 = "R30"
  /// The frame decodes to Raw_Size bytes.
  case r31 = "R31"
  /// Raw_Hash.
  case r32 = "R32"
  /// Tensor_Count fits the index.
  case r33 = "R33"
  /// An index entry lies inside the index.
  case r34 = "R34"
  /// Nothing follows the last index entry.
  case r35 = "R35"
  /// Name_Length is 1 to 512.
  case r36 = "R36"
  /// A name is UTF-8 without control characters.
  case r37 = "R37"
  /// Names ascend.
  case r38 = "R38"
  /// No two names are canonically equivalent.
  case r39 = "R39"
  /// Scheme, layout, axis order and role are known.
  case r40 = "R40"
  /// Rank is at most 8.
  case r41 = "R41"
  /// Extents are 1 to 2^63 - 1.
  case r42 = "R42"
  /// Reserved bytes and padding of the index are zero.
  case r43 = "R43"
  /// The format can hold the shape.
  case r44 = "R44"
  /// Byte_Count is the format's.
  case r45 = "R45"
  /// Tensors tile the tensor data.
  case r46 = "R46"
  /// The tensor data ends with the last tensor.
  case r47 = "R47"
  /// The tensor data's hash is that of the tensors' hashes.
  case r48 = "R48"
  /// Padding between tensors is zero.
  case r49 = "R49"
  /// A tensor's hash.
  case r50 = "R50"
  /// Strict: a tensor's blocks obey blocks.md.
  case r51 = "R51"
}
