import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMSignature
import VLMTensor
import VLMText
import VLMTransport

/// An opened `.vlmz` file: the mapped weights and all that is needed to use them.
///
/// A model never changes, so any number of threads may share it. What changes while it is used is in
/// a `Session` (pictures and embeddings) or a `Conversation` (text); each belongs to one caller. The
/// weights are used where the file is mapped: a second model of the same file takes little more
/// memory, and a process that is started anew finds them in the system's cache.
///
/// All sessions and conversations of a model share its threads, unless they ask for their own: loops
/// of callers who compute at the same time take turns, so the machine is never overcommitted.
/// Results do not depend on the number of threads or on who else computes.
public final class Model: Sendable {
  /// How a model computes. The defaults are right where nothing else runs on the machine.
  public struct Options: Sendable, Equatable {
    /// Threads that compute, the caller's own included: 1 to 1024; nil for as many processors as
    /// this process may use.
    public var threads: Int?
    /// The instruction set, one of `Model.instructionSets`; nil for the best of this machine.
    public var instructionSet: String?
    /// Public keys of minisign's, in base64 or as names of their files: one of them has to have
    /// signed the file, in a signature beside it, `<path>.minisig`. Every byte is read and hashed at
    /// opening, about a second for a gigabyte, before anything in it is looked at. nil: no signature
    /// is looked for; an empty list is refused. Of a packed file, what it unpacks to is signed.
    public var trustedKeys: [String]?
    /// The folder that packed models (`.vlmzp`) are unpacked into, each file once; nil refuses such
    /// files. It has to be the user's own, and no other may write to it. Processes may share it.
    public var cacheFolder: String?
    /// Bytes that the models in that folder may take together. Those that were not opened for longest
    /// are removed for another, but none in use.
    public var cacheByteLimit: Int
    /// Bytes of memory that this process may take with the model's weights: those that have no room are
    /// read from the file each time they are used, ahead of their use. At least 16 MiB; nil for as much as
    /// the machine and the process's control groups leave.
    public var memoryByteLimit: Int?

    /// Options that differ from the defaults where they are given.
    public init(
      threads: Int? = nil, instructionSet: String? = nil, trustedKeys: [String]? = nil,
      cacheFolder: String? = nil, cacheByteLimit: Int = 16_000_000_000,
      memoryByteLimit: Int? = nil
    ) {
      self.threads = threads
      self.instructionSet = instructionSet
      self.trustedKeys = trustedKeys
      self.cacheFolder = cacheFolder
      self.cacheByteLimit = cacheByteLimit
      self.memoryByteLimit = memoryByteLimit
    }
  }

  /// The path that the file was opened with.
  public var path: String { container.path }

  /// The name of the architecture as the field has it: "convnext", "clip", "qwen3", "llava" …
  public let architecture: String

  package let container: Container
  package let description: ModelDescription
  package let kernels: KernelSet
  /// The threads that sessions share.
  package let pool: WorkerPool
  /// The layers of a model that writes text.
  package let language: LanguageModel?
  /// The layers of a model that makes vectors of pictures.
  package let vision: VisionModel?
  /// How weights are read that do not all stay in memory; nil where they do.
  package let reading: WeightReading?

  /// Names of the instruction sets that this machine can run, slowest first: "scalar", "avx2" …
  public static var instructionSets: [String] { KernelSet.all.map(\.name) }

  /// Opens and checks a file. The weights themselves are not read, unless keys are trusted; see
  /// `vlm-convert verify`.
  ///
  /// - Parameters:
  ///   - path: of a `.vlmz` file, a regular one, or of a packed one with a `cacheFolder`.
  ///   - options: how to compute.
  /// - Throws: `VLMZError`: `.notFound` or `.noPermission` when the file cannot be opened,
  ///   `.badData` when it is damaged or is no `.vlmz`, `.unsupported` for an instruction set that
  ///   this machine lacks, `.invalidArgument` for a number of threads out of range, `.notTrusted`
  ///   for a file that none of the trusted keys signed.
  public convenience init(opening path: String, options: Options = Options()) throws(VLMZError) {
    let threads = options.threads ?? ThreadCount.available
    try Self.check(threads: threads)
    if let limit = options.memoryByteLimit {
      try VLMZError.require(
        limit >= MemoryUse.least, "memory", found: "\(limit) bytes",
        expected: "\(MemoryUse.least) or more")
    }
    let memory = options.memoryByteLimit.map { MemoryUse.limited($0) } ?? .automatic
    let kernels = try Self.kernels(named: options.instructionSet)
    let pool = WorkerPool(threadCount: threads)
    let container = try VLMZError.wrapping { try Self.open(path, options, pool) }
    let made = try VLMZError.wrapping {
      try Contents(container, kernels: kernels, pool: pool, memory: memory)
    }
    self.init(made)
  }

  private static func open(
    _ path: String, _ options: Options, _ pool: WorkerPool
  ) throws -> Container {
    let cache = options.cacheFolder.map { ModelCache(folder: $0, limit: options.cacheByteLimit) }
    guard let arguments = options.trustedKeys else {
      return try ModelCache.open(path: path, cache: cache, pool: pool)
    }
    guard let keys = try TrustedKeys(arguments) else {
      throw VLMZError(.invalidArgument, "trusted keys: found none, expected one or more")
    }
    guard PackedInput.isPacked(path) else { return try Container.open(path: path, signedBy: keys) }
    // Before anything is unpacked.
    let signature = try keys.signature(ofPacked: path)
    return try ModelCache.open(
      path: path, cache: cache, pool: pool,
      check: { container in try keys.verify(container, by: signature) })
  }

  /// The same of a container that is open, with errors of the modules below.
  ///
  /// - Parameters:
  ///   - observer: sees what the layers multiply.
  ///   - replacements: matrices in place of the container's of those names.
  ///   - memory: that it may take.
  package convenience init(
    _ container: Container, kernels: KernelSet, pool: WorkerPool,
    observer: (any ProductObserver)? = nil, replacing replacements: [Tensor] = [],
    memory: MemoryUse = .all
  ) throws {
    self.init(
      try Contents(
        container, kernels: kernels, pool: pool, observer: observer, replacing: replacements,
        memory: memory))
  }

  /// The same of a file, with threads of its own.
  package convenience init(path: String, kernels: KernelSet, threads: Int) throws {
    try self.init(
      try Container.open(path: path), kernels: kernels, pool: WorkerPool(threadCount: threads))
  }

  /// What a model is made of, checked.
  private struct Contents {
    let container: Container
    let description: ModelDescription
    let kernels: KernelSet
    let pool: WorkerPool
    let language: LanguageModel?
    let vision: VisionModel?
    let reading: WeightReading?

    init(
      _ container: Container, kernels: KernelSet, pool: WorkerPool,
      observer: (any ProductObserver)? = nil, replacing replacements: [Tensor] = [],
      memory: MemoryUse
    ) throws {
      self.container = container
      self.kernels = kernels
      self.pool = pool
      let description = try container.modelDescription()
      self.description = description
      let reading = try ModelError.inFile(container.path) {
        try WeightReading(container, description, memory)
      }
      self.reading = reading
      let (source, config) = (ContainerWeights(container, read: reading), description.config)
      let overlay: (any WeightSource)? =
        replacements.isEmpty ? nil : OverlayWeights(source, replacing: replacements)
      let layers = try ModelError.inFile(container.path) {
        try config.build(Weights(overlay ?? source, kernels: kernels, observer: observer))
      }
      try source.requireAllUsed()
      language = try LanguageModel(
        layers, container, description, kernels: kernels, reading: reading)
      vision = try VisionModel(layers, container, description)
    }
  }

  private init(_ contents: Contents) {
    container = contents.container
    architecture = contents.container.commonName(of: contents.description)
    description = contents.description
    kernels = contents.kernels
    pool = contents.pool
    language = contents.language
    vision = contents.vision
    reading = contents.reading
  }

  static func check(threads: Int) throws(VLMZError) {
    try VLMZError.require(
      (1...ThreadCount.maximum).contains(threads), "threads", found: "\(threads)",
      expected: "1 to \(ThreadCount.maximum)")
  }

  private static func kernels(named name: String?) throws(VLMZError) -> KernelSet {
    guard let name else { return .best }
    guard let kernels = KernelSet(named: name) else {
      throw VLMZError(
        .unsupported,
        "instruction set: found '\(name.escapedForDisplay())', expected one of "
          + instructionSets.joined(separator: ", "))
    }
    return kernels
  }
}
