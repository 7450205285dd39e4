import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMInput
import VLMKernels
import VLMModels
import VLMRuntime
import VLMTensor

/// What `vlm-run` does with models that answer.
extension VLMRun {
  /// A session for the file's model; nil when that does not answer.
  func conversationModel(
    _ container: Container, _ kernels: KernelSet
  ) throws -> (any ConversationSession)? {
    guard try container.modelDescription().language != nil else { return nil }
    return try Conversation.open(
      container, kernels: kernels, threads: try threadCount(option: threads),
      contextLength: conversation.ctx, keyValueFormat: conversation.kv)
  }

  func converse(_ model: any ConversationSession) throws {
    guard model.seesPictures || images.isEmpty else {
      let names = images.prefix(3).map { "'\($0.escapedForDisplay(limit: 60))'" }
      throw ValidationError(
        "this model sees no pictures: found " + names.joined(separator: ", ")
          + (conversation.prompt == nil ? "; a question is given with -p 'TEXT'" : ""))
    }
    guard !(conversation.chat && json) else {
      throw ValidationError("--chat with --json: expected --jsonl, an object per answer")
    }
    guard !(conversation.chat && images.contains("-")) else {
      throw ValidationError("--chat reads standard input, so an image cannot come from there")
    }
    guard labels == nil, scores == nil, preprocessing.cropPct == nil else {
      throw ValidationError("--labels, --scores and --crop-pct: expected an image model")
    }
    guard embed == nil || !images.isEmpty else {
      throw ValidationError("--embed writes the visual tokens of pictures: found none")
    }
    guard outputs.isEmpty || !conversation.chat else {
      throw ValidationError("--embed, --dump and --explain: expected one question, found --chat")
    }
    var run = ConversationRun(
      model: model, options: conversation,
      geometry: PictureGeometry(
        resolution: try preprocessing.side(), keepsAspect: conversation.keepAspect),
      limits: preprocessing.limits,
      policy: try preprocessing.policy(), decodesFast: preprocessing.decodesFast, format: format,
      outputs: outputs, quiet: quiet)
    if dryRun {
      try describe(model)
      for name in images {
        let pixels = try run.pixels(name)
        Report.line("\(name.escapedForDisplay()): input \(pixels.width)×\(pixels.height)")
      }
      return
    }
    // Said before the work, not after it.
    try outputs.check(besides: images + (conversation.template.map { [$0] } ?? []))
    warnOfLength(model)
    let idle = conversation.idleOptions(model.defaults)
    if !idle.isEmpty {
      Report.warning(
        "\(idle.joined(separator: " and ")): no effect at temperature 0; --temp sets another",
        program: "vlm-run")
    }
    run.loadSeconds = loadWeights(model.container)
    try run.run(images: images)
  }

  /// Brings the weights into memory, where they are not.
  func loadWeights(_ container: Container) -> Double {
    guard let data = container.sections.first(where: { $0.kind == .tensorData }) else { return 0 }
    return WeightLoading.load(container.file, data.range, quiet: quiet)
  }

  private func warnOfLength(_ model: any ConversationSession) {
    guard let length = try? model.container.modelDescription().language?.contextLength,
      model.capacity > length
    else { return }
    Report.warning(
      "--ctx \(model.capacity): the model was made for \(length) positions; what it writes beyond "
        + "them may be nonsense", program: "vlm-run")
  }

  private func describe(_ model: any ConversationSession) throws {
    let parameters = model.container.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let architecture = (try? model.container.modelDescription().architecture) ?? "unknown"
    Report.line("model: \(architecture), \(parameters) parameters")
    Report.line("file: \(byteText(model.container.file.count))")
    Report.line("kernels: \(model.kernels.name), threads: \(model.pool.threadCount)")
    Report.line(
      "context: \(model.capacity) positions, keys and values \(conversation.kv.rawValue)")
    let template = try PromptChoice(model, conversation, quiet: true).template()
    Report.line("template: \(template?.name ?? "none")")
  }
}

extension PreprocessingOptions {
  /// `--size` for a model that answers: the short side of its tower's input.
  fileprivate func side() throws -> Int? {
    guard let size else { return nil }
    guard let side = Int(size) else {
      throw ValidationError("--size: found '\(size)', expected a number; see --keep-aspect")
    }
    return side
  }
}
