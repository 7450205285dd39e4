import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// What `vlm-run` does with models that answer.
extension VLMRun {
  /// The file's model with memory for a conversation; nil when it does not answer.
  func conversationModel(
    _ container: Container, _ kernels: KernelSet
  ) throws -> AnsweringModel? {
    guard try container.modelDescription().language != nil else { return nil }
    let model = try AnsweringModel(
      container, kernels: kernels, threads: try threadCount(option: threads),
      memory: memory.use, contextLength: conversation.ctx, keyValueFormat: conversation.kv ?? .f16)
    guard let model else { return nil }
    if conversation.ctx == nil, let usual = model.language.shortened(model.capacity) {
      Report.warning(
        "the memory leaves room for a context of \(model.capacity) positions, not \(usual); --ctx "
          + "sets another", program: "vlm-run")
    }
    return model
  }

  func converse(_ model: AnsweringModel) throws {
    try checkOptions(model)
    let answer = AnswerForm(conversation)
    let format = try answer.format()
    var run = ConversationRun(
      model: model, options: conversation,
      geometry: PictureGeometry(
        resolution: try preprocessing.side(), keepsAspect: conversation.keepAspect),
      limits: preprocessing.limits,
      policy: try preprocessing.policy(), decodesFast: preprocessing.decodesFast,
      records: Records(self.format), outputs: outputs, answerFormat: format, quiet: quiet)
    if dryRun {
      var plan = Plan(model.container, model.model.kernels, model.model.pool)
      let format = (conversation.kv ?? .f16).rawValue
      plan.add(model.model.reading)
      plan.add(
        "context", .int(model.capacity), "\(model.capacity) positions, keys and values \(format)")
      let template = try PromptChoice(model, conversation, quiet: true).template()?.name
      plan.add("template", template.map { .string($0) } ?? .null, template ?? "none")
      if let rate = conversation.fps {
        let (film, frames) = try run.film(source, rate: rate)
        plan.add(
          "frames", .array(frames.map { .int($0) }), "\(frames.count) of \(film.count)")
        return try plan.show(film, frames, run.records) { picture, image in
          let prepared = try run.prepare(picture, decoded: image, isFrame: true)
          return (prepared.width, prepared.height)
        }
      }
      return try plan.show(source, run.records) { picture in
        let prepared = try run.prepare(picture)
        return (prepared.width, prepared.height)
      }
    }
    // Said before the work, not after it.
    try outputs.check(
      besides: images + lists + answer.files + (conversation.template.map { [$0] } ?? []))
    if !outputs.isEmpty { Report.outliveReader() }
    warnOfLength(model)
    let idle = conversation.idleOptions(model.language.defaults)
    if !idle.isEmpty {
      Report.warning(
        "\(idle.joined(separator: " and ")): no effect at temperature 0; --temp sets another",
        program: "vlm-run")
    }
    run.loadSeconds = loadWeights(model.model)
    try run.run(source, hasPictures: hasPictures)
  }

  private var hasPictures: Bool { !images.isEmpty || !pictures.given.isEmpty }

  /// Refuses options that have no effect on the model, or with each other.
  ///
  /// - Throws: `ValidationError` naming them.
  private func checkOptions(_ model: AnsweringModel) throws {
    let hasQuestion = conversation.prompt != nil || conversation.chat
    if !model.seesPictures {
      let names = images.prefix(3).map { "'\($0.escapedForDisplay(limit: 60))'" }
      guard images.isEmpty else {
        throw ValidationError(
          "this model sees no pictures: found " + names.joined(separator: ", ")
            + (conversation.prompt == nil ? "; a question is given with -p 'TEXT'" : ""))
      }
      let idle =
        pictures.given + preprocessing.given + conversation.givenOfPictures
        + (conversation.each ? ["--each"] : [])
      guard idle.isEmpty else {
        throw ValidationError("this model sees no pictures: no effect of \(Self.list(idle))")
      }
    }
    let ofImages =
      labels.given + (scores == nil ? [] : ["--scores"]) + (top == nil ? [] : ["--top"])
      + (preprocessing.cropPct == nil ? [] : ["--crop-pct"])
    guard ofImages.isEmpty else {
      throw ValidationError(
        "\(Self.list(ofImages)): expected an image model, found one that answers questions")
    }
    guard !(conversation.chat && json) else {
      throw ValidationError("--chat with --json: expected --jsonl, an object per answer")
    }
    guard !(conversation.chat && (images.contains("-") || pictures.filesFrom == "-")) else {
      throw ValidationError("--chat reads standard input, so an image cannot come from there")
    }
    guard hasPictures || embed == nil else {
      throw ValidationError("--embed writes the visual tokens of pictures: found none")
    }
    guard hasPictures || !conversation.each else {
      throw ValidationError("--each: expected pictures, found none")
    }
    guard outputs.isEmpty || !conversation.chat else {
      throw ValidationError("--embed, --dump and --explain: expected one question, found --chat")
    }
    guard !outputs.areOfOneImage || !conversation.each else {
      throw ValidationError("--dump and --explain: expected one question, found --each")
    }
    // Where pictures are looked at and nothing is asked.
    if !hasQuestion, !outputs.isEmpty, hasPictures, !conversation.givenOfAnswers.isEmpty {
      throw ValidationError(
        "nothing is asked without -p: no effect of \(Self.list(conversation.givenOfAnswers))")
    }
  }

  /// Brings the weights into memory, where they are not and have room.
  func loadWeights(_ model: Model) -> Double {
    if let reading = model.reading {
      memory.warn(reading.reader.byteCount, limit: reading.limit, quiet: quiet, program: "vlm-run")
      return 0
    }
    let container = model.container
    guard let data = container.sections.first(where: { $0.kind == .tensorData }) else { return 0 }
    return WeightLoading.load(container.file, data.range, quiet: quiet)
  }

  private func warnOfLength(_ model: AnsweringModel) {
    guard let length = try? model.container.modelDescription().language?.contextLength,
      model.capacity > length
    else { return }
    Report.warning(
      "--ctx \(model.capacity): the model was made for \(length) positions; what it writes beyond "
        + "them may be nonsense", program: "vlm-run")
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
