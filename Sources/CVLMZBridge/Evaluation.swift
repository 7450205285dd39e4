import CVLMZ
import VLMZ
import VLMZConverter

/// `vlmz_evaluate` of vlmz_convert.h.
@_cdecl("vlmz_evaluate")
public func vlmzEvaluate(
  _ model: UnsafePointer<CChar>?, _ data: UnsafePointer<UnsafePointer<CChar>?>?, _ dataCount: Int,
  _ options: UnsafePointer<vlmz_evaluation_options>?, _ callback: vlmz_evaluation_callback?,
  _ user: UnsafeMutableRawPointer?, _ report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> vlmz_status {
  call {
    let result = try place(report, "report", empty: nil)
    let given = try structure(options, "options", initial: vlmz_evaluation_options())
    let paths = try elements(data, dataCount, "data").map(fileName)
    guard !paths.isEmpty else { throw invalid("data", found: "none", expected: "one or more") }
    let evaluator = try Evaluator(
      judging: try fileName(model),
      against: given.reference == nil ? nil : try fileName(given.reference),
      options: try evaluationOptions(given))
    let found = try evaluator.evaluate(on: paths) { progress in
      guard let callback else { return }
      let isEnough = progress.stage.withCString { stage in
        var seen = vlmz_evaluation_progress(
          stage: stage, done: UInt64(clamping: progress.done),
          total: UInt64(clamping: progress.total))
        return callback(&seen, user) != 0
      }
      if isEnough { evaluator.cancel() }
    }
    result.pointee = try Block.text(found.json)
  }
}

private func evaluationOptions(
  _ given: vlmz_evaluation_options
) throws -> Evaluator.Options {
  var options = Evaluator.Options()
  if let count = nonzero(given.tokens) { options.tokenCount = count }
  options.pictureCount = nonzero(given.pictures)
  if let count = nonzero(given.answers) { options.answerCount = max(0, count) }
  if let count = nonzero(given.answer_tokens) { options.answerTokens = count }
  if given.temporary_folder != nil {
    options.temporaryFolder = try fileName(given.temporary_folder)
  }
  options.threads = nonzero(given.threads)
  return options
}
