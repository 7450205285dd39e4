/// The rules of `formats/vlmzp.md` that a packed file can break.
package enum PackedRule: String, Sendable, CaseIterable {
  /// The file holds a header.
  case p01 = "P01"
  /// Magic.
  case p02 = "P02"
  /// Read_Version is known.
  case p03 = "P03"
  /// Header_Hash.
  case p04 = "P04"
  /// Write_Version >= Read_Version.
  case p05 = "P05"
  /// Reserved bytes of the header are zero.
  case p06 = "P06"
  /// Container_Size is 128 to 2^63 - 1.
  case p07 = "P07"
  /// A record is whole, and the last one is the end.
  case p08 = "P08"
  /// Record_Hash.
  case p09 = "P09"
  /// Kind is frame or end.
  case p10 = "P10"
  /// Raw_Offset is where the frame before ended.
  case p11 = "P11"
  /// Raw_Size is 1 to 2 MiB and ends inside of the container.
  case p12 = "P12"
  /// The codec is known and Stored_Size goes with it.
  case p13 = "P13"
  /// The filter is known and its fields go with Raw_Size.
  case p14 = "P14"
  /// Reserved fields of a record are zero.
  case p15 = "P15"
  /// The stored bytes of a frame are there.
  case p16 = "P16"
  /// Stored_Hash.
  case p17 = "P17"
  /// One zstd frame that decodes to Raw_Size bytes.
  case p18 = "P18"
  /// Raw_Hash.
  case p19 = "P19"
  /// The first frame has the container's header, of this size and root hash.
  case p20 = "P20"
  /// The frames make up the container.
  case p21 = "P21"
  /// Frame_Count and Frames_Hash.
  case p22 = "P22"
  /// Nothing follows the end.
  case p23 = "P23"
  /// What was unpacked is a container.
  case p24 = "P24"
}
