import VLMFoundation
import VLMZ

/// The text that Prometheus reads (exposition format 0.0.4).
struct MetricsText {
  static let type = "text/plain; version=0.0.4; charset=utf-8"

  private(set) var text = ""

  // MARK: - Lines

  /// - Parameter samples: labels, already in braces or empty, with their values.
  mutating func add(
    _ name: String, _ kind: String, _ help: String, _ samples: [(labels: String, value: Double)]
  ) {
    guard !samples.isEmpty else { return }
    text += "# HELP vlmz_\(name) \(help)\n# TYPE vlmz_\(name) \(kind)\n"
    for sample in samples { text += "vlmz_\(name)\(sample.labels) \(Self.number(sample.value))\n" }
  }

  /// A number without labels.
  private mutating func add(_ name: String, _ kind: String, _ help: String, _ value: Double) {
    add(name, kind, help, [("", value)])
  }

  /// - Parameter samples: labels without braces, counts below and above each bound, and their sum.
  mutating func addHistograms(
    _ name: String, _ help: String, bounds: [Double],
    _ samples: [(labels: String, counts: [Int], sum: Double)]
  ) {
    guard !samples.isEmpty else { return }
    text += "# HELP vlmz_\(name) \(help)\n# TYPE vlmz_\(name) histogram\n"
    for sample in samples {
      let labels = sample.labels
      var total = 0
      for (index, count) in sample.counts.enumerated() {
        total += count
        let bound = index < bounds.count ? Self.number(bounds[index]) : "+Inf"
        text +=
          "vlmz_\(name)_bucket{\(labels.isEmpty ? "" : labels + ",")le=\"\(bound)\"} \(total)\n"
      }
      let braced = labels.isEmpty ? "" : "{\(labels)}"
      text += "vlmz_\(name)_sum\(braced) \(Self.number(sample.sum))\n"
      text += "vlmz_\(name)_count\(braced) \(total)\n"
    }
  }

  /// `key="value"`, escaped.
  static func label(_ key: String, _ value: String) -> String {
    var escaped = ""
    for character in value.unicodeScalars {
      switch character {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return "\(key)=\"\(escaped)\""
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
  }
}

extension MetricsText {
  /// Everything that is counted.
  ///
  /// - Parameter memory: bytes that the process may take; nil where nobody said it.
  init(_ metrics: Metrics, models: [ServedModel], memory: Int?) {
    let content = metrics.content
    add(
      "requests_total", "counter", "Requests by endpoint and status.",
      content.requests.sorted { ($0.key.route, $0.key.status) < ($1.key.route, $1.key.status) }
        .map { key, count in
          let labels = [
            Self.label("endpoint", key.route), Self.label("status", "\(key.status)"),
          ]
          return ("{\(labels.joined(separator: ","))}", Double(count))
        })
    addHistograms(
      "request_duration_seconds", "From a request's head to its answer's end.",
      bounds: Histogram.bounds,
      content.durations.sorted { $0.key < $1.key }.map { route, histogram in
        (Self.label("endpoint", route), histogram.counts, histogram.sum)
      })
    add(
      "requests_active", "gauge", "Requests that are being answered.",
      Double(content.active))
    add(
      "clients_gone_total", "counter", "Clients that left before their answer's end.",
      Double(content.clientsGone))
    add(
      "clients_slow_total", "counter", "Clients that were cut off.",
      Double(content.clientsTooSlow))
    add(
      "pictures_total", "counter", "Pictures embedded or classified.",
      Double(content.picturesLooked))
    add("texts_total", "counter", "Texts embedded.", Double(content.textsLooked))
    addEngines(models)
    addWeights(models)
    addProcess(.current)
    if let memory {
      add(
        "memory_limit_bytes", "gauge", "What the process may take, as it was told.", Double(memory))
    }
    add(
      "build_info", "gauge", "The version.",
      [
        ("{\(Self.label("version", productVersion))}", 1)
      ])
  }

  private mutating func addEngines(_ models: [ServedModel]) {
    let engines = models.compactMap { served in
      served.engine.map { (name: Self.label("model", served.name), state: $0.statistics) }
    }
    func each(_ value: (EngineStatistics) -> Int) -> [(labels: String, value: Double)] {
      engines.map { ("{\($0.name)}", Double(value($0.state))) }
    }
    let waiting = models.map { served in
      (
        "{\(Self.label("model", served.name))}",
        Double(served.engine?.statistics.waiting ?? served.sessions?.waitingCount ?? 0)
      )
    }
    add("queue_waiting", "gauge", "Requests that wait.", waiting)
    add("answers_active", "gauge", "Answers that are being written.", each { $0.active })
    add(
      "answers_refused_total", "counter", "Requests that found the queue full.", each { $0.refused }
    )
    add(
      "answers_total", "counter", "Answers by how they ended.",
      engines.flatMap { engine in
        GenerationEnd.Reason.allCases.map { reason in
          (
            "{\(engine.name),\(Self.label("reason", reason.rawValue))}",
            Double(engine.state.ended[reason] ?? 0)
          )
        }
      })
    add(
      "prompt_tokens_total", "counter", "Positions of prompts, pictures included.",
      each { $0.promptTokens })
    add(
      "cached_tokens_total", "counter", "Those of them that had been computed before.",
      each { $0.cachedTokens })
    add("answer_tokens_total", "counter", "Tokens of answers.", each { $0.completionTokens })
    add(
      "pictures_encoded_total", "counter", "Pictures encoded for questions.",
      each { $0.picturesEncoded })
    add(
      "picture_hits_total", "counter", "Pictures that were encoded before.",
      each { $0.pictureHits })
    add("passes_total", "counter", "Passes over the weights.", each { $0.passes })
    add("pass_rows_total", "counter", "Rows of all passes.", each { $0.passRows })
    add(
      "interludes_total", "counter", "Passes for short prompts between two layers of another.",
      each { $0.interludes })
    add(
      "proposed_tokens_total", "counter", "Tokens proposed where answers repeat something.",
      each {
        $0.proposedTokens
      })
    add(
      "accepted_tokens_total", "counter", "Those of them that the model chose.",
      each {
        $0.acceptedTokens
      })
    add("cache_bytes", "gauge", "Memory for keys and values.", each { $0.pages * $0.pageBytes })
    add(
      "cache_bytes_used", "gauge", "What answers take of it.",
      each { $0.pagesInUse * $0.pageBytes })
    add(
      "cache_bytes_kept", "gauge", "What is kept of it for later prompts.",
      each { $0.pagesKept * $0.pageBytes })
    addHistograms(
      "first_token_seconds", "From a request to the first token of its answer.",
      bounds: LatencyHistogram.bounds,
      engines.map { ($0.name, $0.state.firstToken.counts, $0.state.firstToken.sum) })
    addHistograms(
      "between_tokens_seconds", "From one token of an answer to the next.",
      bounds: LatencyHistogram.bounds,
      engines.map { ($0.name, $0.state.betweenTokens.counts, $0.state.betweenTokens.sum) })
  }

  private mutating func addWeights(_ models: [ServedModel]) {
    func each(_ value: (ServedModel) -> Int) -> [(labels: String, value: Double)] {
      models.map { ("{\(Self.label("model", $0.name))}", Double(value($0))) }
    }
    add("weight_bytes", "gauge", "Weights.", each { $0.model.weightByteCount })
    add(
      "weight_bytes_held", "gauge", "Those of them that are kept in memory, all or as many as fit.",
      each { $0.model.reading?.reader.bytesHeld ?? $0.model.weightByteCount })
  }

  private mutating func addProcess(_ process: ProcessState) {
    add(
      "resident_memory_bytes", "gauge", "Memory, mapped weights included.",
      Double(process.residentBytes))
    add(
      "private_memory_bytes", "gauge", "Memory that no file holds.",
      Double(process.privateBytes))
    add(
      "allocated_memory_bytes", "gauge", "Memory that is allocated and not freed.",
      Double(process.allocatedBytes))
    add(
      "open_descriptors", "gauge", "Open files and connections.",
      Double(process.openDescriptors))
    add("threads", "gauge", "Threads.", Double(process.threads))
    add(
      "processor_seconds_total", "counter", "Time of all processors.",
      process.processorSeconds)
  }
}
