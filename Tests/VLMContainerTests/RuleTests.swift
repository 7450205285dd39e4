import Testing
import VLMContainer

/// One test per rule of `formats/vlmz.md`: files made to break it are refused with it.
@Suite("Rules of the container")
struct RuleTests {
  @Test("R01 the file holds a header")
  func r01() throws { try Golden.expectRefused(.r01, by: .open) }

  @Test("R02 Magic")
  func r02() throws { try Golden.expectRefused(.r02, by: .open) }

  @Test("R03 Read_Version is known")
  func r03() throws { try Golden.expectRefused(.r03, by: .open) }

  @Test("R04 Header_Hash")
  func r04() throws { try Golden.expectRefused(.r04, by: .open) }

  @Test("R05 Write_Version >= Read_Version")
  func r05() throws { try Golden.expectRefused(.r05, by: .open) }

  @Test("R06 V04 Required_Features are known")
  func r06() throws { try Golden.expectRefused(.r06, by: .open) }

  @Test("R07 V04 reserved bytes of the header are zero")
  func r07() throws { try Golden.expectRefused(.r07, by: .open) }

  @Test("R08 File_Size is the file's size")
  func r08() throws { try Golden.expectRefused(.r08, by: .open) }

  @Test("R09 V08 Section_Count is 3 to 64")
  func r09() throws { try Golden.expectRefused(.r09, by: .open) }

  @Test("R10 V09 the table ends the file")
  func r10() throws { try Golden.expectRefused(.r10, by: .open) }

  @Test("R11 Table_Hash")
  func r11() throws { try Golden.expectRefused(.r11, by: .open) }

  @Test("R12 V14 kinds ascend, none is 0")
  func r12() throws { try Golden.expectRefused(.r12, by: .open) }

  @Test("R13 an unknown kind is not required")
  func r13() throws { try Golden.expectRefused(.r13, by: .open) }

  @Test("R14 V27 Flags are the kind's")
  func r14() throws { try Golden.expectRefused(.r14, by: .open) }

  @Test("R15 reserved fields of a table entry are zero")
  func r15() throws { try Golden.expectRefused(.r15, by: .open) }

  @Test("R16 V10 V11 V12 V13 a section starts where the one before ends, rounded up")
  func r16() throws { try Golden.expectRefused(.r16, by: .open) }

  @Test("R17 V10 a section is not empty and ends before the table")
  func r17() throws { try Golden.expectRefused(.r17, by: .open) }

  @Test("R18 the table starts where the last section ends, rounded up")
  func r18() throws { try Golden.expectRefused(.r18, by: .open) }

  @Test("R19 V12 padding between sections is zero")
  func r19() throws { try Golden.expectRefused(.r19, by: .open) }

  @Test("R20 V20 the codec is known and the kind allows it")
  func r20() throws { try Golden.expectRefused(.r20, by: .open) }

  @Test("R21 V20 a raw section's stored and decoded sizes and hashes agree")
  func r21() throws { try Golden.expectRefused(.r21, by: .open) }

  @Test("R22 V21 V28 the decoded size is within the limit")
  func r22() throws { try Golden.expectRefused(.r22, by: .open) }

  @Test("R23 V14 required sections are present")
  func r23() throws { try Golden.expectRefused(.r23, by: .open) }

  @Test("R24 V19 Root_Hash")
  func r24() throws { try Golden.expectRefused(.r24, by: .open) }

  @Test("R25 V19 Stored_Hash")
  func r25() throws { try Golden.expectRefused(.r25, by: .verify) }

  @Test("R26 V24 one standard zstd frame")
  func r26() throws { try Golden.expectRefused(.r26, by: .section) }

  @Test("R27 V22 the frame states its content size")
  func r27() throws { try Golden.expectRefused(.r27, by: .section) }

  @Test("R28 V23 the frame's window is within the limit")
  func r28() throws { try Golden.expectRefused(.r28, by: .section) }

  @Test("R29 V24 the frame needs no dictionary")
  func r29() throws { try Golden.expectRefused(.r29, by: .section) }

  @Test("R30 V24 V25 the frame fills the section")
  func r30() throws { try Golden.expectRefused(.r30, by: .section) }

  @Test("R31 V21 V25 the frame decodes to Raw_Size bytes")
  func r31() throws { try Golden.expectRefused(.r31, by: .section) }

  @Test("R32 V17 Raw_Hash")
  func r32() throws { try Golden.expectRefused(.r32, by: .section) }

  @Test("R33 V28 Tensor_Count fits the index")
  func r33() throws { try Golden.expectRefused(.r33, by: .open) }

  @Test("R34 an index entry lies inside the index")
  func r34() throws { try Golden.expectRefused(.r34, by: .open) }

  @Test("R35 nothing follows the last index entry")
  func r35() throws { try Golden.expectRefused(.r35, by: .open) }

  @Test("R36 Name_Length is 1 to 512")
  func r36() throws { try Golden.expectRefused(.r36, by: .open) }

  @Test("R37 a name is UTF-8 without control characters")
  func r37() throws { try Golden.expectRefused(.r37, by: .open) }

  @Test("R38 V30 names ascend")
  func r38() throws { try Golden.expectRefused(.r38, by: .open) }

  @Test("R39 no two names are canonically equivalent")
  func r39() throws { try Golden.expectRefused(.r39, by: .open) }

  @Test("R40 V32 V40 scheme, layout, axis order and role are known")
  func r40() throws { try Golden.expectRefused(.r40, by: .open) }

  @Test("R41 V31 Rank is at most 8")
  func r41() throws { try Golden.expectRefused(.r41, by: .open) }

  @Test("R42 V31 extents are 1 to 2^63 - 1")
  func r42() throws { try Golden.expectRefused(.r42, by: .open) }

  @Test("R43 V04 reserved bytes and padding of the index are zero")
  func r43() throws { try Golden.expectRefused(.r43, by: .open) }

  @Test("R44 V32 the format can hold the shape")
  func r44() throws { try Golden.expectRefused(.r44, by: .open) }

  @Test("R45 V34 Byte_Count is the format's")
  func r45() throws { try Golden.expectRefused(.r45, by: .open) }

  @Test("R46 V35 V39 tensors tile the tensor data")
  func r46() throws { try Golden.expectRefused(.r46, by: .open) }

  @Test("R47 the tensor data ends with the last tensor")
  func r47() throws { try Golden.expectRefused(.r47, by: .open) }

  @Test("R48 the tensor data's hash is that of the tensors' hashes")
  func r48() throws { try Golden.expectRefused(.r48, by: .open) }

  @Test("R49 padding between tensors is zero")
  func r49() throws { try Golden.expectRefused(.r49, by: .verify) }

  @Test("R50 V19 a tensor's hash")
  func r50() throws { try Golden.expectRefused(.r50, by: .verify) }

  @Test("R51 V36 V37 V38 strictly, a tensor's blocks obey blocks.md")
  func r51() throws { try Golden.expectRefused(.r51, by: .strict) }
}
