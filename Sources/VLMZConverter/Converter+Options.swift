import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

extension Converter {
  /// What `vlm-convert` can be told, as values. The defaults are right for most checkpoints.
  public struct Options: Sendable, Equatable {
    /// Another scheme for some tensors.
    public struct TensorScheme: Sendable, Equatable {
      /// The container's name of a tensor; `*` stands for any characters.
      public var pattern: String
      /// How the matrices that match are stored.
      public var scheme: WeightScheme

      /// The scheme of the tensors whose names match `pattern`.
      public init(_ pattern: String, _ scheme: WeightScheme) {
        self.pattern = pattern
        self.scheme = scheme
      }
    }

    // MARK: How weights are stored

    /// How matrices are stored. Depthwise filters, stems, norms, scales and biases always stay f32,
    /// and below 8 bits the few matrices that would lose too much get 8: `Plan.Tensor.reason` says why.
    public var scheme = WeightScheme.q8
    /// What the file may take, or the model lose, in place of `scheme`: each matrix gets the scheme that
    /// the model loses least by. Patterns of `tensorSchemes` still decide for theirs.
    public var budget: Budget?
    /// How a person wrote the size of that, for messages.
    package var givenSize: GivenSize?
    /// A file whose mixture of schemes is taken in place of `scheme`: the JSON of a `Report` or a
    /// `Plan`, or a container. Tensors that it does not name are stored in f32.
    public var planFile: String?
    /// Exceptions; of several that match a tensor the last counts. Each must match some tensor.
    public var tensorSchemes: [TensorScheme] = []
    /// What the model is run on first, so that weights are rounded where it costs least; nil for
    /// rounding by the weights alone.
    public var calibration: Calibration?

    // MARK: What is read

    /// The part of a PyTorch checkpoint that is the model, as keys joined by dots or what its names
    /// begin with ("model_ema", "state_dict.net"); nil where the file holds one model, or one
    /// average of it.
    public var state: String?
    /// Whether the checksums in a PyTorch file must be right.
    public var verifiesChecksums = true
    /// Leaves out tensors that the model does not have. Otherwise they are an error.
    public var ignoresUnexpectedTensors = false
    /// What lies between the linear layers of a head that was put on the model, where the file does
    /// not say: one of `Converter.headActivations`.
    public var headActivation: String?

    // MARK: Files beside the checkpoint

    /// A preprocessor_config.json or config.json that says how images are prepared.
    public var preprocessor: String?
    /// Names of the classes: a line each, a JSON list, {index: name} or {name: index}.
    public var labelsFile: String?
    /// What a classifier's outputs are; nil for what the checkpoint says it was trained for.
    public var scores: ScoreKind?
    /// The folder of a LLaVA's vision tower, where its config.json names one that is not there.
    public var visionTower: String?
    /// The folder of LLaVA-HR's ConvNeXt, as timm saves it, for a checkpoint that has none.
    public var visionTowerSlow: String?
    /// The folder of the language model, for a checkpoint that is a projector alone.
    public var modelBase: String?
    /// The vision half of a LLaVA or SmolVLM in GGUF, for its language half.
    public var mmproj: String?

    // MARK: How it is written

    /// Replaces a file at the output's path. Otherwise its presence is an error.
    public var overwrites = false
    /// Goes on with a conversion of the same source and options that was broken off, and leaves this
    /// one to go on with if it is: `<output>.partial` and `<output>.partial.journal`.
    public var resumes = false
    /// Threads that compute, 1 to 1024; nil for as many processors as this process may use.
    public var threads: Int?

    /// The defaults.
    public init() {}

    /// The defaults with another scheme.
    public init(scheme: WeightScheme) { self.scheme = scheme }
  }

  /// What `Options.headActivation` may be.
  public static var headActivations: [String] { HeadActivationOption.names }
}

extension Converter.Options {
  /// - Throws: `VLMZError` with `.invalidArgument` for numbers out of range, or options that exclude one
  ///   another.
  func check() throws(VLMZError) {
    try calibration?.check()
    try budget?.check()
    guard budget == nil || planFile == nil else {
      throw VLMZError(.invalidArgument, "plan file: found a budget too, expected one of them")
    }
    // Errors of weights say which matrices to spend on, and nothing of what the model loses.
    if case .loss = budget, calibration == nil {
      throw VLMZError(
        .invalidArgument,
        "loss: found no calibration, expected data or statistics that tell what is lost")
    }
  }

  var policy: QuantizationPolicy {
    QuantizationPolicy(
      scheme: scheme.scheme,
      overrides: tensorSchemes.map { .init(pattern: $0.pattern, scheme: $0.scheme.scheme) })
  }

  /// Opens and recognises the checkpoint at `path`.
  ///
  /// - Throws: errors of the modules below.
  package func open(_ path: String) throws -> SourceModel {
    let activation = try headActivation.map { name in
      guard let option = HeadActivationOption(name: name) else {
        throw ConversionError(
          path: path,
          .setting(
            .headActivation, found: name,
            expected: "one of " + HeadActivationOption.names.joined(separator: ", ")))
      }
      return option
    }
    return try SourceModel.open(
      path: path, preprocessor: preprocessor,
      parts: GivenParts(
        visionTower: visionTower, visionTowerSlow: visionTowerSlow, modelBase: modelBase,
        mmproj: mmproj, headActivation: activation),
      options: PyTorchFile.Options(
        state: state.map { .named($0) } ?? .automatic, verifiesChecksums: verifiesChecksums),
      labels: LabelOptions(
        namesFile: labelsFile, scores: scores.flatMap { Scores(rawValue: $0.rawValue) }))
  }
}
