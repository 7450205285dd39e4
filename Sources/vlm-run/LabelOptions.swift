import ArgumentParser
import VLMCheckpoint
import VLMFoundation
import VLMZ

/// The texts that images are likened to.
struct LabelOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Texts to liken images to, with a model that reads texts too (CLIP, SigLIP); may be given again.",
      valueName: "text,text…"), transform: \.repairedText)
  var labels: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("One such text, whatever is in it; may be given again.", valueName: "text"),
    transform: \.repairedText)
  var label: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file with such texts, a line each or a list in JSON; may be given again.",
      valueName: "file"))
  var labelsFile: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "What is said of a label, which stands for {}: 'a photo of a {}'. Given again, the mean of "
        + "all is taken.", valueName: "text"), transform: \.repairedText)
  var labelTemplate: [String] = []

  func validate() throws {
    for template in labelTemplate where !template.contains(ZeroShot.placeholder) {
      throw ValidationError(
        "--label-template: found '\(template.escapedForDisplay(limit: 60))', expected a text with {} "
          + "where the label goes, such as 'a photo of a {}'")
    }
    guard labelTemplate.isEmpty || isUsed else {
      throw ValidationError("--label-template: expected labels: --labels, --label or --labels-file")
    }
    for label in label where label.allSatisfy(\.isWhitespace) {
      throw ValidationError("--label: found an empty text")
    }
    _ = try labels.flatMap { try Self.parts($0) }
  }

  /// Whether there are any.
  var isUsed: Bool { !labels.isEmpty || !label.isEmpty || !labelsFile.isEmpty }

  /// Those that were given.
  var given: [String] {
    let options: [(String, Bool)] = [
      ("--labels", !labels.isEmpty), ("--label", !label.isEmpty),
      ("--labels-file", !labelsFile.isEmpty), ("--label-template", !labelTemplate.isEmpty),
    ]
    return options.filter(\.1).map(\.0)
  }

  /// All of them, in the order of these options.
  ///
  /// - Throws: `CheckpointError` for a file that is no list.
  func texts() throws -> [String] {
    try labels.flatMap { try Self.parts($0) } + label
      + labelsFile.flatMap { try ClassNames.read($0) }
  }

  /// The parts between commas, without the spaces around them.
  private static func parts(_ labels: String) throws -> [String] {
    if labels.contains(where: { $0 == "." || $0 == "/" }), FileSystem.exists(labels),
      !FileSystem.isFolder(labels)
    {
      throw ValidationError(
        "--labels: found '\(labels.escapedForDisplay(limit: 60))', a file; its texts are taken with "
          + "--labels-file \(labels.quotedForShell)")
    }
    let parts = labels.split(separator: ",", omittingEmptySubsequences: false).map { part in
      String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
    guard parts.allSatisfy({ !$0.isEmpty }) else {
      throw ValidationError("--labels: found an empty text, expected texts between commas")
    }
    return parts
  }
}
