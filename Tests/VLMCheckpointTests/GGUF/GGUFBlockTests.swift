import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTestSupport

@Suite("GGUF: blocks")
struct GGUFBlockTests {
  static let types: [(name: String, number: UInt32, elements: Int, bytes: Int)] = [
    ("Q4_0", 2, 32, 18), ("Q4_1", 3, 32, 20), ("Q5_0", 6, 32, 22), ("Q5_1", 7, 32, 24),
    ("Q8_0", 8, 32, 34), ("Q2_K", 10, 256, 84), ("Q3_K", 11, 256, 110), ("Q4_K", 12, 256, 144),
    ("Q5_K", 13, 256, 176), ("Q6_K", 14, 256, 210), ("IQ4_NL", 20, 32, 18),
    ("IQ4_XS", 23, 256, 136),
  ]

  let make: GGUFComposer

  init() throws { make = try GGUFComposer() }

  /// Three rows of two blocks of random bytes.
  private func random(_ type: UInt32, _ elements: Int, _ bytes: Int) throws -> (
    CheckpointTensor, [UInt8]
  ) {
    var generator = SplitMix64(seed: UInt64(type))
    let data = (0..<6 * bytes).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 13) }
    let file = GGUFComposer.file(
      tensors: [GGUFComposer.tensor("t", [UInt64(2 * elements), 3], type: type)], data: data)
    return (try #require(try make.read(file).catalog["t"]), data)
  }

  @Test("each type of block is decoded to the bits that the format describes")
  func reference() throws {
    for type in Self.types {
      let (tensor, data) = try random(type.number, type.elements, type.bytes)
      #expect(tensor.shape == [3, 2 * type.elements])
      #expect(tensor.typeName == type.name)
      #expect(tensor.byteCount == data.count)
      let found = try tensor.floats()
      var differences = 0
      for (index, value) in found.enumerated() {
        let block = index / type.elements
        let bytes = Array(data[block * type.bytes..<(block + 1) * type.bytes])
        let expected = GGUFReference(type: type.name, block: bytes).value(index % type.elements)
        let isSame = value == expected || (value.isNaN && expected.isNaN)
        if !isSame { differences += 1 }
      }
      #expect(differences == 0, "\(type.name)")
    }
  }

  @Test("any range of elements reads as the same part of the whole")
  func ranges() throws {
    for type in Self.types {
      let (tensor, _) = try random(type.number, type.elements, type.bytes)
      let whole = try tensor.floats().map(\.bitPattern)
      let ends = [0, 1, type.elements - 1, type.elements, type.elements + 7, 4 * type.elements]
      for start in ends {
        for end in ends + [6 * type.elements - 1, 6 * type.elements] where end >= start {
          var part = [Float](repeating: 0, count: end - start)
          try part.withUnsafeMutableBufferPointer { try tensor.readFloats(start..<end, into: $0) }
          #expect(part.map(\.bitPattern) == Array(whole[start..<end]), "\(type.name)")
        }
      }
    }
  }

  @Test("the bytes that a range of elements touches are its whole blocks")
  func fileRanges() throws {
    let (tensor, _) = try random(12, 256, 144)
    let start = tensor.range.lowerBound
    let cases = [(0..<1, 0..<144), (255..<257, 0..<288), (512..<1536, 288..<864), (3..<3, 0..<0)]
    for (elements, bytes) in cases {
      let ranges = tensor.fileRanges(ofElements: elements)
      #expect(ranges.count == 1)
      #expect(ranges.first?.range == start + bytes.lowerBound..<start + bytes.upperBound)
    }
  }

  @Test("plain types read as their values")
  func plain() throws {
    let little = GGUFComposer.little(Int64(-3)) + GGUFComposer.little(Int64(1 << 40))
    let cases: [(UInt32, String, [UInt8], [Float])] = [
      (0, "F32", GGUFComposer.little(Float(1.5).bitPattern), [1.5]),
      (1, "F16", GGUFComposer.little(UInt16(0xc000)), [-2]),
      (24, "I8", [0xff, 5], [-1, 5]),
      (25, "I16", GGUFComposer.little(Int16(-300)), [-300]),
      (26, "I32", GGUFComposer.little(Int32(70000)), [70000]),
      (27, "I64", little, [-3, 0x1p40]),
      (28, "F64", GGUFComposer.little(Double(0.5).bitPattern), [0.5]),
      (30, "BF16", GGUFComposer.little(UInt16(0x3f80)), [1]),
    ]
    for (number, name, data, values) in cases {
      let header = GGUFComposer.tensor("t", [UInt64(values.count)], type: number)
      let file = try make.read(GGUFComposer.file(tensors: [header], data: data))
      let tensor = try #require(file.catalog["t"])
      #expect(tensor.typeName == name)
      #expect(try tensor.floats() == values)
    }
  }

  @Test("a type that is not decoded is listed, and refused by name when it is read")
  func listedOnly() throws {
    let header = GGUFComposer.tensor("t", [256], type: 16)
    let data = [UInt8](repeating: 0, count: 66)
    let file = try make.read(GGUFComposer.file(tensors: [header], data: data))
    let tensor = try #require(file.catalog["t"])
    #expect(tensor.typeName == "IQ2_XXS")
    let error = thrownError(CheckpointError.self) { try tensor.floats() }
    #expect(error?.problem == .gguf(.notReadable("IQ2_XXS")))
  }

  @Test("the golden tensors of every type are decoded as the reference implementation does")
  func golden() throws {
    let catalog = try GGUFFile(path: TestFiles.golden("gguf/types.gguf")).catalog
    let expected = try Expected(TestFiles.golden("gguf/expected.safetensors"))
    #expect(catalog.tensors.count == 23)
    for tensor in catalog.tensors {
      let golden = try #require(expected.tensor(tensor.name), "\(tensor.name)")
      #expect(tensor.shape == golden.shape)
      let values = try tensor.floats()
      var worst: Float = 0
      for (value, reference) in zip(values, golden.values) where value != reference {
        worst = max(worst, abs(value - reference) / max(abs(reference), .leastNormalMagnitude))
      }
      #expect(worst <= 1e-6, "\(tensor.name)")
    }
  }

  @Test("blocks are written to safetensors as floats")
  func export() throws {
    let (tensor, _) = try random(12, 256, 144)
    let path = make.folder.path("out.safetensors")
    try SafetensorsWriter.write(
      path: path, overwrite: true, tensors: [SafetensorsWriter.Entry(tensor)])
    let written = try #require(try SafetensorsFile.read(path: path)["t"])
    #expect(written.dtype == .f32)
    #expect(try written.floats().map(\.bitPattern) == tensor.floats().map(\.bitPattern))
  }
}
