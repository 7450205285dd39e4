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
    let told =
      (limit >> 20 > 0 ? "\(limit >> 20) MiB" : "\(limit >> 10) KiB") + " of keys and values"
    let fitting = limit / max(1, bytes)
    let (most, overflow) = perContext.multipliedReportingOverflow(by: options.maximumActive)
    // What the caller gives may keep more prefixes than the answers need.
    let count = options.keyValueBytes == nil && !overflow ? min(most, fitting) : fitting
    if options.contextLength == nil {
      guard count >= 1 else {
        throw ModelError(
          .memory("a page of keys and values", needed: bytes, limit: told, nil))
      }
      contextLength = min(wanted, count * pagePositions)
    } else {
      guard count >= perContext else {
        throw ModelError(
          .memory(
            "a context of \(wanted) positions",
            needed: bytes.multipliedReportingOverflow(by: perContext).partialValue,
            limit: told,
            count >= 1 ? .shorterContext(count * pagePositions) : nil))
      }
      contextLength = wanted
    }
    pageCount = count
  }
}

extension Model {
  /// What an engine takes of memory that is bounded by nothing else: bytes of keys and values for as many
  /// whole contexts as it computes at once, those of the least that it starts with, and of activations and
  /// kept pictures; nil for a model that writes no text. `Int.max` stands for what overflows.
  package func engineBytes(
    _ options: BatchEngineOptions
  ) -> (keyValues: Int, leastKeyValues: Int, others: Int)? {
    guard let language else { return nil }
    let page = AnswerScheduler.defaultPagePositions
    let perContext = ((options.contextLength ?? language.usualCapacity) + page - 1) / page
    let (count, first) = perContext.multipliedReportingOverflow(by: options.maximumActive)
    let pageBytes = language.layers.pageBytes(positions: page, format: options.keyValues.format)
    let (bytes, second) = (pageBytes ?? .max).multipliedReportingOverflow(by: count)
    let (least, third) = (pageBytes ?? .max).multipliedReportingOverflow(
      by: options.contextLength == nil ? 1 : perContext)
    let rows = options.maximumActive + options.prefillRows
    let workspace = language.layers.workspaceBytes(rows: rows, threads: pool.threadCount) ?? 0
    let embedded =
      language.pictures == nil
      ? 0 : options.prefillRows * language.layers.config.hidden * MemoryLayout<Float>.stride
    return (
      first || second ? .max : bytes, third ? .max : least,
      workspace + rows * language.layers.config.hidden * MemoryLayout<Float>.stride + embedded
        + (language.pictures == nil ? 0 : options.pictureCacheBytes)
    )
  }
}
