import VLMFoundation
import VLMTensor

/// How much of the machine's memory activations may take.
enum MemoryLimit {
  /// Bytes beside the plan: what each thread's kernels work in.
  private static let workingBytes = 4 << 20

  /// - Throws: `ModelError` naming the image when `bytes`, nil for too many to count, are more
  ///   than is planned with, or than the system gives.
  static func check(_ bytes: Int?, height: Int, width: Int) throws(ModelError) {
    let memory = Machine.memory
    if let bytes, bytes <= memory.planned {
      return try ModelError.require(
        memory: bytes + workingBytes, for: "a picture of \(width)×\(height)")
    }
    throw ModelError(
      .memory(
        "a picture of \(width)×\(height)", needed: bytes, limit: memory.text, .smallerSide))
  }
}

extension Int {
  /// Bytes of a plan and others; nil when they overflow, or the others did.
  func adding(_ bytes: Int?) -> Int? {
    guard let bytes else { return nil }
    let (sum, overflow) = addingReportingOverflow(bytes)
    return overflow ? nil : sum
  }
}
