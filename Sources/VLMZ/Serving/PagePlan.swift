import VLMFoundation
import VLMModels
import VLMTensor

/// How many pages an engine has, and how long its contexts may be.
struct PagePlan {
  let pageCount: Int
  let contextLength: Int

  /// - Parameters:
  ///   - usual: positions of a context where the options name none.
  ///   - planned: bytes of memory that may be planned with.
  /// - Throws: `ModelError` when a context does not fit the memory.
  init(
    _ model: LLaMA, _ options: BatchEngineOptions, usual: Int, planned: Int, pagePositions: Int
  ) throws(ModelError) {
    let memory = Machine.memory
    let format = options.keyValues.format
    let wanted = options.contextLength ?? usual
    let perContext = (wanted + pagePositions - 1) / pagePositions
    guard let bytes = model.pageBytes(positions: pagePositions, format: format) else {
      throw ModelError(.memory("a page of keys and values", needed: nil, limit: memory.text, nil))
    }
    let limit = options.keyValueBytes ?? planned / 2
    let fitting = limit / max(1, bytes)
    let (most, overflow) = perContext.multipliedReportingOverflow(by: options.maximumActive)
    // What the caller gives may keep more prefixes than the answers need.
    let count = options.keyValueBytes == nil && !overflow ? min(most, fitting) : fitting
    if options.contextLength == nil {
      guard count >= 1 else {
        throw ModelError(
          .memory("a page of keys and values", needed: bytes, limit: memory.text, nil))
      }
      contextLength = min(wanted, count * pagePositions)
    } else {
      guard count >= perContext else {
        throw ModelError(
          .memory(
            "a context of \(wanted) positions",
            needed: bytes.multipliedReportingOverflow(by: perContext).partialValue,
            limit: options.keyValueBytes.map { "\($0 >> 20) MiB of keys and values" }
              ?? memory.text,
            count >= 1 ? .shorterContext(count * pagePositions) : nil))
      }
      contextLength = wanted
    }
    pageCount = count
  }
}
