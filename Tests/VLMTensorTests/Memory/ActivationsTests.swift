import Testing
import VLMTestSupport

@testable import VLMTensor

struct ActivationsTests {
  @Test("memory that the system refuses is an error, at any size", arguments: [1 << 50, Int.max])
  func refused(count: Int) {
    let error = thrownError(ModelError.self) { try Activations(count: count, for: "a test") }
    let bytes = count == .max ? Int.max : 4 * count
    #expect(error == ModelError(.noMemory("a test", byteCount: bytes)))
    #expect(error?.exitStatus == .osError)
    #expect(error?.description.hasPrefix("memory: a test needs ") == true)
  }

  @Test("memory that the system has is zero, and aligned to its largest registers")
  func given() throws {
    for count in [0, 1, 1000, 1 << 20] {
      let memory = try Activations(count: count, for: "a test")
      memory.withValues(count) { values in
        #expect(values.count == count && values.allSatisfy { $0 == 0 })
        #expect(Int(bitPattern: values.baseAddress) % 64 == 0)
      }
    }
  }
}
