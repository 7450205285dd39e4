import Testing
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport

@testable import VLMZ

/// A pass through a tower that is cancelled between two of its layers.
struct PassCancellationTests {
  /// A model with the intermediate behind which its pass is cancelled.
  struct Case: Sendable, CustomTestStringConvertible {
    let path: String
    let last: String
    var testDescription: String { last }
  }

  static let towers = [
    Case(path: SchemeQualityTests.checkpoint, last: "stage1"),
    Case(path: TestFiles.golden("clip-vit/hf"), last: "hidden.2"),
    Case(path: SigLIPGoldenTests.path("vision"), last: "hidden.1"),
  ]

  @Test(
    "a session's pass ends behind the layer that runs, and the next is whole", arguments: towers)
  func session(_ test: Case) throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(test.path, .q8, in: folder)
    let pixels = try session.preprocessing.apply(
      try ImageDecoder.decode(path: SchemeQualityTests.photo), name: "photo")
    let whole = try session.run([pixels])
    var names: [String] = []
    let error = libraryError {
      _ = try session.gate.enter { flag in
        try session.runEach([pixels], cancelled: flag) { seen in
          names.append(seen.name)
          if seen.name == test.last { session.cancel() }
        }
      }
    }
    #expect(error?.code == .cancelled)
    #expect(error?.message == "cancelled before there was a result")
    #expect(names.last == test.last)
    #expect(try session.run([pixels]) == whole)
  }

  static let sighted = [
    Case(path: TestFiles.golden("convllava-trained/hf-A-safetensors"), last: "tower.stage0"),
    Case(path: TestFiles.golden("llava-hr/hf-bin"), last: "slow.stage1"),
    Case(path: TestFiles.golden("llava-hr/hf-bin"), last: "adapter0.out"),
  ]

  @Test(
    "a picture's encoding ends behind the layer that runs, and the next is whole",
    arguments: sighted)
  func encoding(_ test: Case) throws {
    let folder = try TemporaryFolder()
    let model = try conversation(test.path, .q8, in: folder)
    let pixels = try model.pixels(
      of: ImageDecoder.decode(path: SchemeQualityTests.photo), name: "photo")
    func values() throws -> [Float] {
      let tokens = try model.encode(pixels)
      return withExtendedLifetime(tokens) { tokens.rows.array() }
    }
    let whole = try values()
    let flag = CancellationFlag()
    var names: [String] = []
    let error = thrownError(ModelError.self) {
      try model.language.encode(
        PreparedPicture(pixels), pool: model.model.pool, cancelled: flag
      ) { seen in
        names.append(seen.name)
        if seen.name == test.last { flag.cancel() }
      }
    }
    #expect(error?.problem == .cancelled)
    #expect(names.last == test.last)
    #expect(try values() == whole)
  }
}
