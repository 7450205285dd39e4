import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMZ
import VLMZConverter

/// `--evaluate` of a conversion: the model that was written against its source.
struct ConversionEvaluation {
  private let source: SourceModel
  private let paths: [String]
  /// Whether pictures given by name are all there is: then there is a line for each.
  private let areNamedPictures: Bool

  /// Nil where nothing was asked for.
  ///
  /// - Throws: `EvaluationError` for what `run` could not do, before anything is converted; errors for
  ///   files that cannot be read.
  init?(_ source: SourceModel, paths: [String]) throws {
    guard !paths.isEmpty else { return nil }
    self.source = source
    self.paths = paths
    areNamedPictures = try Evaluator.check(paths, for: source)
  }

  /// Runs `model` and an unquantized conversion of its source, made beside it for the while.
  func run(model: String, threads: Int, quiet: Bool) throws -> Evaluation {
    var options = Evaluator.Options()
    options.checkpoint.ignoresUnexpectedTensors = true
    let evaluator = try Evaluator(
      try Container.open(path: model), .checkpoint(source, path: source.catalog.path), options,
      threads: threads,
      kernels: try Environment.kernelSet())
    let progress = StagedProgress(quiet: quiet)
    let result = try evaluator.run(on: paths) { text in
      progress.finish()
      Report.warning(text, program: "vlm-convert")
    } progress: { step in
      progress.update(step.done, of: step.total, "evaluating, \(step.stage)")
    }
    progress.finish()
    return result
  }

  func report(_ evaluation: Evaluation) {
    guard areNamedPictures, evaluation.ownAnswers == nil else {
      for line in EvaluationTable(evaluation).lines { Report.line(line) }
      return
    }
    Report.line("against f32:")
    for picture in evaluation.pictures {
      var text = "  \(picture.name.escapedForDisplay()): cosine \(decimal(picture.cosine, 6))"
      if let divergence = picture.divergence { text += ", KL \(decimal(divergence, 6)) nats" }
      let thing = isSigmoid(evaluation) ? "classes above 50 %" : "class"
      if let same = picture.agrees {
        text += same ? ", same \(thing)" : ", other \(thing)"
      }
      Report.line(text)
    }
  }

  /// A list with an object for each picture, or else the object that `evaluate` prints.
  func json(_ evaluation: Evaluation) -> JSONValue {
    guard areNamedPictures, evaluation.ownAnswers == nil else { return .object(evaluation.object) }
    return .array(
      evaluation.pictures.map { picture in
        [
          "image": .string(picture.name), "cosine": .double(picture.cosine),
          "kl": picture.divergence.map { .double($0) } ?? .null,
          isSigmoid(evaluation) ? "same_above_half" : "same_top":
            picture.agrees.map { .bool($0) } ?? .null,
        ]
      })
  }

  private func isSigmoid(_ evaluation: Evaluation) -> Bool {
    evaluation.classes?.scores == .sigmoid
  }
}
