import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

private let wildFolder = TestFiles.fixture("safetensors")

private func json(_ path: String) throws -> JSONObject {
  let file = try MappedFile(path: path)
  let value = try file.withBytes(0..<file.count) { bytes in try JSONValue.parse(bytes) }
  return try #require(value.objectValue)
}

@Suite("safetensors files written by others")
struct SafetensorsFixtureTests {
  @Test(
    "a file written by scripts/make-safetensors-fixtures holds what Python says",
    arguments: [
      "every-dtype", "unaligned", "empty-tensors", "no-tensors", "indented-unordered",
    ])
  func fixtures(_ name: String) throws {
    let expected = try #require(
      try json(TestFiles.fixture("safetensors/expected.json"))[name + ".safetensors"])
    let members = try #require(expected.objectValue).members
    let catalog = try SafetensorsFile.read(
      path: TestFiles.fixture("safetensors/\(name).safetensors"))
    #expect(catalog.tensors.count == members.count && catalog.warnings.isEmpty)
    for member in members {
      let tensor = try #require(catalog[member.key])
      let fields = try #require(member.value.arrayValue)
      #expect(tensor.dtype.rawValue == fields[0].stringValue)
      #expect(tensor.shape == fields[1].arrayValue?.compactMap(\.intValue))
      let values = try #require(fields[2].arrayValue).map { value in
        // Python writes infinities and NaN as strings here.
        Float(value.doubleValue ?? Double(value.stringValue ?? "") ?? 0)
      }
      let read = try tensor.floats()
      #expect(read.count == values.count)
      #expect(zip(read, values).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }, "\(member.key)")
    }
  }

  @Test("metadata written by Python is read")
  func metadata() throws {
    let path = TestFiles.fixture("safetensors/every-dtype.safetensors")
    let catalog = try SafetensorsFile.read(path: path)
    #expect(catalog.metadata.map(\.key) == ["format", "note"])
    #expect(catalog.metadata.map(\.value) == ["pt", "caf\u{e9} \u{263a}"])
  }

  /// Tensors, bytes of data and types of each file, counted with Python's json and struct.
  private static let wildFiles: [(name: String, tensors: Int, bytes: Int, dtypes: Set<DType>)] = [
    ("csm_voices", 2, 291_654, [.i64, .u8]), ("fracast_f32", 47, 340_004, [.f32]),
    ("fracast_int8", 67, 106_828, [.f32, .i8]), ("jfk-codes", 1, 13_248, [.i64]),
    ("silero_vad_16k", 15, 1_238_532, [.f32]), ("tensor-1d-int32", 1, 12, [.i32]),
    ("tensor-2d-float64", 1, 48, [.f64]), ("tensor-3d-float32", 1, 48, [.f32]),
    ("tensor-4d-float32", 1, 72, [.f32]),
  ]

  @Test("files found in the wild are read, every tensor finite")
  func wild() throws {
    for file in Self.wildFiles {
      let catalog = try SafetensorsFile.read(path: wildFolder + "/\(file.name).safetensors")
      #expect(catalog.tensors.count == file.tensors, "\(file.name)")
      #expect(catalog.byteCount == file.bytes, "\(file.name)")
      #expect(Set(catalog.tensors.map(\.dtype)) == file.dtypes, "\(file.name)")
      #expect(catalog.warnings.isEmpty, "\(file.name)")
      for tensor in catalog.tensors {
        let isFinite = try tensor.floats().allSatisfy(\.isFinite)
        #expect(isFinite)
      }
    }
    let doubles = try SafetensorsFile.read(path: wildFolder + "/tensor-2d-float64.safetensors")
    #expect(doubles["embedding"]?.shape == [2, 3])
    #expect(try doubles["embedding"]?.floats() == [1, 2, 3, 24, 25, 26])
  }

  @Test("a net's 8-bit codes and scales are within half a step of its 32-bit weights")
  func quantizedPair() throws {
    let full = try SafetensorsFile.read(path: wildFolder + "/fracast_f32.safetensors")
    let small = try SafetensorsFile.read(path: wildFolder + "/fracast_int8.safetensors")
    var compared = 0
    for codes in small.tensors where codes.dtype == .i8 {
      let name = codes.name.replacingOccurrences(of: ".qweight", with: "")
      let weights = try #require(full[name])
      let scale = try #require(small[name + ".scale"])
      #expect(codes.shape == weights.shape)
      let (q, w, s) = (try codes.floats(), try weights.floats(), try scale.floats())
      let run = q.count / s.count
      #expect(q.indices.allSatisfy { abs(q[$0] * s[$0 / run] - w[$0]) <= s[$0 / run] * 0.5001 })
      compared += q.count
    }
    #expect(compared == 79_872)
  }
}
