import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// Runs the model that a configuration describes, whatever it is, once.
///
/// The input is `{"scheme": …, "config": …, "preprocess": …, "labels": …, "generation": …,
/// "template": …}`. A container is made of it with the tensors that the model asks for, so that what
/// is tried is the model: a container whose tensors are other ones is refused before.
package enum SessionTarget {
  private static let maximumTensors = 400
  private static let maximumElements = 1 << 17
  private static let maximumPixels = 96 * 96
  private static let maximumContext = 96

  /// - Returns: whether the model ran.
  @discardableResult
  package static func run(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let value = TextTargets.parsed(bytes), let folder = ScratchFolder.shared else {
      return false
    }
    var ran = false
    let path = folder.path + "/fuzzed.vlmz"
    ModelTargets.attempt {
      let description = try ModelDescription(json: value["config"] ?? .null)
      guard try write(description, value, to: path) else { return }
      if description.language == nil {
        try look(path)
      } else {
        try talk(path)
      }
      ran = true
    }
    return ran
  }

  /// - Returns: false for a model that is too large to try.
  private static func write(
    _ description: ModelDescription, _ value: JSONValue, to path: String
  ) throws -> Bool {
    let manifest = try description.manifest()
    var elements = 0
    for spec in manifest {
      guard let size = DType.u8.byteCount(shape: spec.shape), size <= maximumElements else {
        return false
      }
      elements += size
    }
    guard manifest.count <= maximumTensors, elements <= maximumElements else { return false }
    let scheme = value["scheme"]?.stringValue.flatMap(Scheme.init(name:)) ?? .f32
    let plan = ConversionPlan(
      manifest: manifest, policy: QuantizationPolicy(scheme: scheme))
    let writer = try ContainerWriter(path: path, overwrite: true, compress: false)
    for item in plan.items {
      let (spec, format) = (item.spec, item.format)
      try writer.beginTensor(name: spec.path, format: format, role: spec.role, shape: spec.shape)
      try writer.write(values(format.scheme, byteCount: item.byteCount))
      try writer.endTensor()
    }
    try writer.add(section: .config, Array(description.json.serialized().utf8))
    for (key, kind) in [
      ("preprocess", SectionKind.preprocess), ("labels", .labels),
      ("generation", .generationConfig), ("template", .chatTemplate),
    ] {
      guard let json = value[key] else { continue }
      try writer.add(section: kind, Array(json.serialized().utf8))
    }
    _ = try writer.finish()
    return true
  }

  /// Numbers of a scheme: 1/64, or all codes and scales zero.
  private static func values(_ scheme: Scheme, byteCount: Int) -> [UInt8] {
    let pattern: [UInt8] =
      switch scheme {
      case .f32: [0, 0, 0x80, 0x3c]
      case .bf16: [0x80, 0x3c]
      case .f16: [0, 0x24]
      default: [0]
      }
    return (0..<byteCount).map { pattern[$0 % pattern.count] }
  }

  private static func look(_ path: String) throws {
    let session = try Session(path: path, kernels: .best, threads: 1)
    for (width, height) in [(24, 16), (1, 40)] {
      let image = VLMImages.Image(width: width, height: height, filledWith: .white)
      let pixels = try session.preprocessing.apply(
        image, name: "f", limits: ImageLimits(maximumPixels: maximumPixels))
      let results = try session.run([pixels])
      precondition(results.count == 1 && !results[0].embedding.isEmpty, "an image has a result")
      let classes = session.description.classCount
      precondition(results[0].logits?.count == classes, "a logit for each class")
    }
    if session.clip != nil {
      let texts = try session.embed(texts: [[1, 2]])
      precondition(texts.count == 1, "a text has a result")
    }
  }

  private static func converse(
    _ program: ChatTemplates.Program, _ templates: ChatTemplates, _ tokenizer: Tokenizer
  ) throws {
    let template = try ChatTemplate(
      program, tokens: templates.tokens(tokenizer), addsBOS: templates.addsBOS, file: "f")
    _ = template.endOfAnswer(tokenizer)
  }

  private static func talk(_ path: String) throws {
    let model = try Model(path: path, kernels: .best, threads: 1)
    let language = try model.requireLanguage()
    let generator = try language.generator(pool: model.pool, contextLength: maximumContext)
    let templates = try model.container.chatTemplates()
    if let tokenizer = language.tokenizer {
      for program in templates.programs { try converse(program, templates, tokenizer) }
    }
    var ids = [0, 1, 0]
    var images: [VisualTokens] = []
    if language.pictures != nil {
      let image = VLMImages.Image(width: 24, height: 16, filledWith: .white)
      let picture = try language.prepare(
        image, name: "f", limits: ImageLimits(maximumPixels: maximumPixels))
      images.append(try language.encode(picture, pool: model.pool))
      ids.insert(ImagePrompt.sentinel, at: 1)
    }
    let options = GenerationOptions(maximumTokens: 2)
    let made = try generator.generate(ids, images: images, options)
    precondition(made.tokens.count <= 2, "no more tokens than asked for")
  }
}

/// A folder in memory, where the machine has one.
private final class ScratchFolder: Sendable {
  static let shared = ScratchFolder()
  let path: String

  private init?() {
    let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/vlmz-session-XXXXXX".utf8CString)
    guard
      let made = template.withUnsafeMutableBufferPointer({ name in
        name.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
      })
    else { return nil }
    path = made
    atexit {
      guard let folder = ScratchFolder.shared else { return }
      unlink(folder.path + "/fuzzed.vlmz")
      rmdir(folder.path)
    }
  }
}
