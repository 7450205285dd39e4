import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

package enum ModelTargets {
  /// What lies beside a checkpoint's weights: `{"config": …, "tower": …, "generation": …,
  /// "tensors": {NAME: SHAPE}}`, each as the files of a folder have it.
  ///
  /// - Returns: whether it is a model.
  @discardableResult
  package static func checkpoint(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let value = TextTargets.parsed(bytes) else { return false }
    var names: [CheckpointFacts.Name] = []
    for member in value["tensors"]?.objectValue?.members ?? [] {
      // Readers of files refuse shapes that cannot be counted.
      let shape = (member.value.arrayValue ?? []).compactMap(\.intValue)
      guard shape.allSatisfy({ $0 >= 0 }), DType.f64.byteCount(shape: shape) != nil
      else { return false }
      names.append((name: member.key, shape: shape))
    }
    let config = value["config"]
    var isModel = false
    attempt {
      isModel = try recognise(
        CheckpointFacts(names: names, description: config, towerDescription: value["tower"]))
    }
    attempt {
      let defaults = try GenerationDefaults(huggingFace: value["generation"], config: config)
      let again = try GenerationDefaults(json: defaults.json)
      precondition(again == defaults, "what was written reads the same")
    }
    return isModel
  }

  /// The model that a checkpoint is, with every tensor that it asks for.
  ///
  /// - Returns: whether all are there.
  @discardableResult
  static func recognise(_ facts: CheckpointFacts) throws -> Bool {
    guard let checkpoint = try ModelCheckpoint.recognise(facts) else { return false }
    let given = Set(facts.names.map { ExactString($0.name) })
    for source in checkpoint.tensors.values {
      precondition(given.contains(ExactString(source.original)), "a tensor is the checkpoint's")
    }
    let description = checkpoint.description
    var isWhole = true
    for spec in try description.manifest() {
      precondition(spec.shape.allSatisfy { $0 > 0 }, "a tensor has elements")
      guard let source = checkpoint.tensors[spec.path], source.shape == spec.shape else {
        isWhole = false
        continue
      }
      // What the converter does with the rows of a matrix.
      guard case .interleavedRotary = source.rows, let rows = spec.shape.first else { continue }
      for row in [0, rows / 2, rows - 1] {
        let stored = source.rows.source(of: row, count: rows)
        precondition((0..<rows).contains(stored), "a row is one of the matrix")
      }
    }
    let again = try ModelDescription(json: description.json)
    precondition(again == description, "what was written reads the same")
    return isWhole
  }

  /// A container's chat template and ways to generate, and a chat template as makers write it.
  static func conversation(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    converse(ChatTemplates.Program(name: "f", source: text), ChatTemplates(addsBOS: true))
    guard let value = TextTargets.parsed(bytes) else { return }
    attempt {
      let templates = try ChatTemplates(json: value, file: "f")
      let again = try ChatTemplates(json: templates.json, file: "again")
      precondition(again.programs == templates.programs, "a program survives being written")
      for program in templates.programs { converse(program, templates) }
    }
    attempt {
      let defaults = try GenerationDefaults(json: value)
      let again = try GenerationDefaults(json: defaults.json)
      precondition(again == defaults, "what was written reads the same")
    }
  }

  private static func converse(_ program: ChatTemplates.Program, _ templates: ChatTemplates) {
    attempt {
      let template = try ChatTemplate(
        program, tokens: templates.tokens, addsBOS: templates.addsBOS, file: "f")
      let turns: [ConversationTemplate.Turn] = [
        .init(.user, "<image>\nWhat is it?"), .init(.assistant, " A cat. "), .init(.user, ""),
        .init(.assistant, nil),
      ]
      for system in [nil, "<s>[INST] \u{0}"] {
        let prompt = try template.prompt(turns, system: system, parsesImages: true)
        for range in prompt.messageRanges {
          precondition(range.upperBound <= prompt.bytes.count, "what is said is in the prompt")
        }
      }
      _ = template.renders(system: "Be brief.")
    }
  }

  /// Reports what is thrown; only errors that a person can be shown are.
  static func attempt(_ body: () throws -> Void) {
    do { try body() } catch let error as any ReportableError {
      precondition(!"\(error)".isEmpty, "an error says something")
    } catch {
      preconditionFailure("an error that is none of ours: \(error)")
    }
  }
}
