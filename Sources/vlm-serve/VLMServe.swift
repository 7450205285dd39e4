import ArgumentParser
import CVLMHTTP
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMServer
import VLMTensor
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

@main
struct VLMServe: ParsableCommand {
  static func main() { runCommand(VLMServe.self, program: "vlm-serve") }

  static let configuration = CommandConfiguration(
    commandName: "vlm-serve",
    abstract: "Serve models from .vlmz files over HTTP, as OpenAI's clients call them.",
    discussion: """
      Examples: vlm-serve llava.vlmz
                vlm-serve chat=llava.vlmz clip.vlmz --port 8000 --api-key-file keys.txt
                vlm-serve llava.vlmz --unix /run/vlmz.sock

      Requests call a model by its name: what stands before '=', or else the file's name without its \
      ending. A page to ask from a browser is at /. The first SIGTERM or SIGINT lets answers that were \
      begun finish; a second one does not.
      """,
    version: versionText(program: "vlm-serve", formatVersion: Container.formatVersion))

  @Argument(
    help: ArgumentHelp(
      "Models, with the names that requests call them by.", valueName: "[name=]model"))
  var models: [String]

  @OptionGroup
  var trusted: TrustOptions

  @OptionGroup(title: "Address")
  var address: AddressOptions

  @OptionGroup(title: "Callers")
  var callers: CallerOptions

  @OptionGroup(title: "Limits")
  var bounds: LimitOptions

  @OptionGroup(title: "Answers")
  var answers: AnswerOptionsGroup

  @Option(help: "Threads of all models together; default: the processors this process may use.")
  var threads: Int?

  @OptionGroup
  var memory: MemoryOptions

  @Flag(help: "Write what happens as JSON, an object per line.")
  var json = false

  @Flag(name: .shortAndLong, help: "No line on standard error for each request.")
  var quiet = false

  func run() throws {
    Report.outliveReader()
    Heap.limit(threads: ThreadCount.available)
    var limits = bounds.limits
    if case .limited(let bytes) = memory.use { limits.memoryBytes = bytes }
    let keys = try callers.keys()
    let served = try open(limits)
    let sockets = try address.sockets()
    defer {
      for path in sockets.compactMap(\.path) { FileSystem.unlink(path) }
    }
    if keys == nil, let open = sockets.first(where: { !$0.isLocal }) {
      Report.warning(
        "\(open.address): other machines can ask without a key; --api-key-file names one",
        program: "vlm-serve")
    }
    if keys == nil, callers.allowOrigin.contains("*") {
      Report.warning(
        "--allow-origin '*': every page that a browser of this machine opens can ask without a key; "
          + "--api-key-file names one", program: "vlm-serve")
    }
    let service = Service(
      models: served, limits: limits, keys: keys,
      browsers: callers.browsers(
        // Nobody's browser is led to a path, and who has a key knows whom it asks.
        trustsAllNames: keys != nil || sockets.allSatisfy { $0.url.hasPrefix("unix:") }))
    let front = Front(service, log: RequestLog(form: quiet ? .none : json ? .json : .text))
    Shutdown.prepare()
    for socket in sockets {
      try front.serve(socket, limits: bounds.connectionLimits(isLocal: socket.isLocal))
    }
    announce(sockets, served)
    ServiceManager.tell("READY=1\nSTATUS=Serving \(served.map(\.name).joined(separator: ", "))")
    Shutdown.wait()
    ServiceManager.tell("STOPPING=1")
    finish(front, service)
  }

  private func announce(_ sockets: [ListeningSocket], _ served: [ServedModel]) {
    if json {
      let line: JSONValue = [
        "listening": .array(sockets.map { .string($0.url) }),
        "models": .array(served.map { .string($0.name) }),
      ]
      Report.line(line.serialized())
    } else {
      for socket in sockets { Report.line("listening on \(socket.url)") }
    }
  }

  /// Lets answers that were begun finish, until the time for that is over.
  private func finish(_ front: Front, _ service: Service) {
    front.drain()
    Task { await service.drain() }
    let end = ContinuousClock.now + .seconds(bounds.drain)
    while front.openExchanges > 0, ContinuousClock.now < end { usleep(20_000) }
    let left = front.openExchanges
    if left > 0 {
      Report.warning(
        "\(left == 1 ? "an answer" : "\(left) answers") broken off after \(bounds.drain) s",
        program: "vlm-serve")
    }
    service.stop()
    front.stop()
  }

  // MARK: - Models

  private func open(_ limits: ServerLimits) throws -> [ServedModel] {
    let kernels = try Environment.kernelSet()
    let pool = WorkerPool(threadCount: try threadCount(option: threads))
    var opened: [(name: String, container: Container)] = []
    for argument in models {
      let (name, path) = Self.nameAndPath(argument)
      guard !opened.contains(where: { $0.name == name }) else {
        throw ValidationError(
          "'\(name.escapedForDisplay())' names two models; NAME=MODEL gives one another")
      }
      let container: Container
      do {
        container = try openModel(
          path, trusting: trusted, threads: pool.threadCount, quiet: quiet, program: "vlm-serve")
      } catch let error as ContainerError {
        throw CheckpointPath.refusalAsContainer(path) ?? error
      }
      opened.append((name, container))
    }
    var served: [ServedModel] = []
    let shares = try shares(of: opened.map(\.container), limits, kernels, pool)
    for ((name, container), (weights, engine)) in zip(opened, shares) {
      let model = try Model(container, kernels: kernels, pool: pool, memory: weights)
      if let reading = model.reading {
        memory.warn(
          reading.reader.byteCount, limit: reading.limit, quiet: quiet, program: "vlm-serve")
      } else if let data = container.sections.first(where: { $0.kind == .tensorData }) {
        WeightLoading.load(container.file, data.range, quiet: quiet)
      }
      let one = try ServedModel(
        name: name, model: model, engine: engine, limits: limits,
        opened: Int(time(nil)))
      if let engine = one.engine { warn(engine, name, container) }
      served.append(one)
    }
    let unused = answers.given
    if !unused.isEmpty, served.allSatisfy({ $0.engine == nil }) {
      Report.warning(
        "\(unused.joined(separator: ", ")): no effect, as no model here answers questions",
        program: "vlm-serve")
    }
    return served
  }

  /// What each model may take for its weights, and how its engine is bounded.
  private func shares(
    of containers: [Container], _ limits: ServerLimits, _ kernels: KernelSet, _ pool: WorkerPool
  ) throws -> [(weights: MemoryUse, engine: BatchEngineOptions)] {
    var options = answers.engine(limits)
    let own = Machine.ownMemory
    guard let limit = limits.memoryBytes else {
      let all = containers.reduce(0) { $0 + $1.weightBytes }
      return containers.map { container in
        let share = memory.use.share(
          weights: container.weightBytes, of: all, available: Machine.availableMemory, own: own)
        return (share, options)
      }
    }
    // Kept pictures are a convenience, and yield to what is needed.
    options.pictureCacheBytes = min(options.pictureCacheBytes, max(0, limit - own) / 16)
    let needs = try containers.map { container in
      // Mapped, so that nothing of it is read for that.
      let model = try Model(container, kernels: kernels, pool: pool)
      return MemoryShares.Need(model, weights: container.weightBytes, options)
    }
    return MemoryShares(limit: limit, own: own, needs: needs).shares.map { share in
      var options = options
      options.keyValueBytes = share.keyValues > 0 ? share.keyValues : nil
      return (share.weights, options)
    }
  }

  /// What whoever starts the server should know of the contexts that its options ask for.
  private func warn(_ engine: BatchEngine, _ name: String, _ container: Container) {
    let (counts, length) = (engine.statistics, engine.contextLength)
    let fitting = counts.pages * counts.pagePositions / max(1, length)
    let parallel = answers.parallel ?? 8
    if fitting < parallel {
      let answers = counted(max(1, fitting), "answer")
      let mebibytes = (counts.pages * counts.pageBytes) >> 20
      Report.warning(
        "\(name.escapedForDisplay()): memory has room for \(answers) of \(length) positions at once "
          + "(\(mebibytes) MiB of keys and values), not for \(parallel); shorter ones share it",
        program: "vlm-serve")
    }
    if let trained = (try? container.modelDescription().language)?.contextLength, length > trained {
      Report.warning(
        "\(name.escapedForDisplay()): --ctx \(length), of a model made for \(trained): answers behind "
          + "that may be the worse for it", program: "vlm-serve")
    }
  }

  /// "chat=models/llava.vlmz" is ("chat", "models/llava.vlmz"); a path alone gives its file's name.
  static func nameAndPath(_ argument: String) -> (name: String, path: String) {
    if let equals = argument.firstIndex(of: "="), !FileSystem.exists(argument) {
      let name = argument[..<equals]
      if !name.isEmpty, !name.contains("/") {
        return (String(name), String(argument[argument.index(after: equals)...]))
      }
    }
    let file = argument.splitAtLastSlash.name
    let ending = [".vlmz", ".vlmzp"].first { file.hasSuffix($0) } ?? ""
    return (String(file.dropLast(ending.count)), argument)
  }
}
