import VLMCheckpoint
import VLMFoundation
import VLMModels
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// What the user says of a classifier's outputs.
package struct LabelOptions: Sendable {
  /// A file with a name for each.
  package var namesFile: String?
  /// What is shown of them; nil for what the checkpoint was trained for.
  package var scores: Scores?

  package init(namesFile: String? = nil, scores: Scores? = nil) {
    self.namesFile = namesFile
    self.scores = scores
  }
}

/// Finds what a checkpoint's outputs stand for.
struct LabelSource {
  let options: LabelOptions
  /// Classes of the model; nil when it has none.
  let count: Int?
  /// What `extract` kept of them.
  var extracted: Labels?
  /// `config.json`.
  let description: JSONValue?
  /// Of the checkpoint's files.
  let metadata: [(key: String, value: String)]
  /// Where the weights are.
  let folder: String

  /// - Throws: `ConversionError` for options that the model has no use for, and a file of names that
  ///   cannot be read or has too few or many.
  func labels(notes: inout [Note]) throws -> Labels {
    guard let count else {
      if let file = options.namesFile {
        throw ConversionError(
          path: file, .setting(.labelsFile, found: file, expected: "a model with classes"))
      }
      if let scores = options.scores {
        throw ConversionError(
          path: folder,
          .setting(.scores, found: scores.rawValue, expected: "a model with classes"))
      }
      return Labels(names: nil)
    }
    let names = try names(count, notes: &notes)
    return Labels(names: names, scores: scores(count, notes: &notes))
  }

  /// What transformers' pipeline for classes makes of outputs, for every checkpoint.
  private func scores(_ count: Int, notes: inout [Note]) -> Scores {
    if let given = options.scores { return given }
    if let extracted { return extracted.scores }
    let stated = description?["problem_type"]?.stringValue
    switch stated {
    case "regression": return .raw
    case "multi_label_classification": return .sigmoid
    case nil, "single_label_classification": break
    case let other?:
      notes.append(
        Note(
          "config.json: problem_type '\(other.escapedForDisplay(limit: 60))' is none that is known",
          .scores))
    }
    guard count == 1 else { return .softmax }
    notes.append(Note("one output: its sigmoid is the score", .rawScores))
    return .sigmoid
  }

  // MARK: - Names

  private func names(_ count: Int, notes: inout [Note]) throws -> [String]? {
    if let file = options.namesFile {
      let names = try read(file)
      guard names.count == count else {
        throw ConversionError(
          path: file,
          .labels(
            counted(names.count, "name"),
            count == 1
              ? "1: the model has one output, which speaks for one class"
              : "\(count), one for each output of the model"))
      }
      noteRepeated(names, notes: &notes)
      return names
    }
    if let names = extracted?.names { return names }
    let described = description.flatMap(Self.described)
    let isGeneric = described.map(Self.isGeneric) ?? true
    if let described, !isGeneric {
      if described.count == count { return described }
      notes.append(
        "config.json has \(counted(described.count, "label")) for \(counted(count, "output")): left out"
      )
    } else if described == nil, description?["id2label"]?.objectValue?.isEmpty == false {
      notes.append("config.json: id2label does not name 0 to N - 1, each once: left out")
    }
    if let names = inside(count, notes: &notes) { return names }
    if let file = Self.fileNames.first(where: { FileSystem.exists(folder + "/" + $0) }) {
      notes.append(
        Note("'\(file)' lies beside the weights", .labels(file: folder + "/" + file)))
    }
    return described?.count == count ? described : nil
  }

  private func read(_ file: String) throws(ConversionError) -> [String] {
    do throws(CheckpointError) { return try ClassNames.read(file) } catch {
      switch error.problem {
      case .file(let problem): throw ConversionError(path: file, .file(problem))
      case .json(let problem):
        throw ConversionError(
          path: file, .json(offset: problem.offset, text: problem.description))
      case .names(let found, let expected):
        throw ConversionError(path: file, .labels(found, expected))
      default: throw ConversionError(path: file, .labels("\(error)", "names of classes"))
      }
    }
  }

  /// Files that hold names of classes in many folders; which of them are this model's, only its
  /// user knows.
  private static let fileNames = [
    "class_names", "classes", "labels", "class_to_idx", "idx_to_class", "id2label", "label_map",
    "label_names", "classnames", "imagenet_classes", "imagenet_class_index",
  ].flatMap { [$0 + ".txt", $0 + ".json"] }

  private func noteRepeated(_ names: [String], notes: inout [Note]) {
    var seen = Set<ExactString>()
    let repeated = names.filter { !seen.insert(ExactString($0)).inserted }
    guard let first = repeated.first else { return }
    notes.append(
      Note(
        .labelsFile,
        "names that stand for more than one class: "
          + "'\(first.escapedForDisplay(limit: 60))'\(repeated.count > 1 ? ", …" : "")"))
  }

  /// Names that the checkpoint's own file holds beside its tensors.
  private func inside(_ count: Int, notes: inout [Note]) -> [String]? {
    var found: [(rank: Int, ClassNames.Found)] = []
    for (key, value) in metadata {
      guard let last = key.split(separator: ".").last, !key.hasPrefix("vlmz."),
        let json = try? JSONValue.parse(value)
      else { continue }
      if let rank = ClassNameKeys.rank(String(last)) {
        found.append((rank, .init(place: key, names: ClassNames.names(json))))
      } else {
        found += ClassNames.search(json, at: key).map { (Int.max, $0) }
      }
    }
    let candidates = found.sorted { $0.rank < $1.rank }.map { $0.1 }
    if let fitting = candidates.first(where: { $0.names?.count == count }) {
      notes.append("class names from '\(fitting.place.escapedForDisplay())' in the checkpoint")
      return fitting.names
    }
    for candidate in candidates {
      let fault =
        candidate.names.map { names in
          "has \(counted(names.count, "name")) for \(counted(count, "output"))"
        } ?? "does not name 0 to N - 1, each once"
      notes.append(
        Note(
          "'\(candidate.place.escapedForDisplay())' in the checkpoint \(fault): left out",
          .otherLabels))
    }
    return nil
  }

  /// Class names as timm (`label_names`) or Hugging Face (`id2label`) store them.
  private static func described(_ json: JSONValue) -> [String]? {
    let list = json["label_names"] ?? json["pretrained_cfg"]?["label_names"]
    return [list, json["id2label"], json["label2id"]].lazy
      .compactMap { $0.flatMap(ClassNames.names) }.first
  }

  /// What transformers calls classes of which it knows nothing.
  private static func isGeneric(_ names: [String]) -> Bool {
    names.enumerated().allSatisfy { $0.element == "LABEL_\($0.offset)" }
  }
}
