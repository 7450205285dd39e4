import VLMFoundation

/// What the user says of the activations that a file leaves open.
package enum HeadActivationOption: Sendable, Equatable {
  case nothing
  case kind(HeadActivation)

  /// A name of `HeadActivation`, or "none".
  package init?(name: String) {
    if name == "none" {
      self = .nothing
    } else if let kind = HeadActivation(rawValue: name) {
      self = .kind(kind)
    } else {
      return nil
    }
  }

  package var name: String {
    switch self {
    case .nothing: "none"
    case .kind(let kind): kind.rawValue
    }
  }

  package static let names = HeadActivation.allCases.map(\.rawValue) + ["none"]

  fileprivate var activation: HeadActivation? {
    if case .kind(let kind) = self { kind } else { nil }
  }
}

/// A classifier that cannot be run. Without it the checkpoint would be another model.
package struct HeadFault: Sendable, Equatable {
  /// Its tensors with their shapes.
  package let tensors: [String]
  package let found: String
  package let expected: String

  package init(tensors: [String], found: String, expected: String) {
    self.tensors = tensors
    self.found = found
    self.expected = expected
  }
}

/// The layers on top of a trunk, found among tensors that are none of its own.
///
/// A state dict has shapes and names, and nothing of modules without parameters: what they are
/// follows from the gaps between positions, and from what is usual.
struct HeadSearch {
  /// Modules of the trunk's own model, its classifier or what was put in its place.
  var inner: [HeadModule]
  /// Modules beside that model.
  var outer: [HeadModule]
  /// Before the trunk's names.
  var prefix: [Substring]
  var option: HeadActivationOption?
  /// What is usual where nothing tells.
  var usual = HeadActivation.gelu
  /// Whether the classifier of the trunk's own model is what a head beside it stands on.
  var innerComesFirst = false
  /// Of a norm that begins a `Sequential`, where the trunk's own model has its norm.
  var firstEpsilon = HeadLayer.defaultEpsilon

  struct Found {
    var layers: [HeadLayer] = []
    /// By our name within the list: "2.weight".
    var sources: [String: ModelCheckpoint.Source] = [:]
    /// Whether an activation was assumed.
    var isOpen = false
    /// A module for each layer, nil for those without parameters.
    var modules: [HeadModule?] = []
    /// A classifier of the trunk's own model that nothing stands on.
    var unused: [HeadModule] = []
    let inputs: Int

    /// The layers in words.
    var text: String {
      var width = inputs
      return layers.map { layer in
        switch layer {
        case .linear(let outputs, _):
          defer { width = outputs }
          return "Linear \(width)→\(outputs)"
        case .layerNorm: return "LayerNorm"
        case .batchNorm: return "BatchNorm"
        case .activation(let kind): return kind.rawValue
        }
      }.joined(separator: ", ")
    }

    /// What a person should know, one line each.
    var notes: [Note] {
      let head = modules.compactMap { $0 }.first.map { $0.path.joined(separator: ".") } ?? ""
      var notes: [Note] = []
      if isOpen {
        notes.append(
          Note(
            "the file does not say what lies between the layers of the head, '\(head)' and on: taken "
              + "for \(text)", .headActivation))
      }
      for (index, layer) in layers.enumerated().dropFirst() {
        guard case .layerNorm = layer, let module = modules[index], module.position != nil else {
          continue
        }
        notes.append(
          "'\(module.path.joined(separator: "."))' is taken for a LayerNorm, as a GroupNorm's "
            + "tensors look the same")
      }
      if !unused.isEmpty {
        let name = unused[0].path.joined(separator: ".")
        notes.append("'\(head)' takes the features: the model's own head, '\(name)', is left out")
      }
      return notes
    }

    mutating func append(_ layer: HeadLayer, _ module: HeadModule?) {
      for (leaf, source) in module?.sources ?? [:] { sources["\(layers.count).\(leaf)"] = source }
      layers.append(layer)
      modules.append(module)
    }
  }

  enum Outcome {
    /// Nothing that could be a head.
    case nothing
    case found(Found)
    case fault(HeadFault)
  }

  /// - Parameter widths: of the features that a head may stand on, the likeliest first.
  func run(_ widths: [Int]) -> Outcome {
    let all = inner + outer
    let hasLinear = all.contains(where: \.isLinear)
    let strange = all.filter { module in
      guard module.isOther, hasLinear || !module.isTemperature else { return false }
      return !module.path.isEmpty || module.shapes.contains { fits($0, widths) }
    }
    if !strange.isEmpty {
      return .fault(fault(strange, "tensors of a kind that is not known here", widths))
    }
    let norms = all.filter { !$0.isOther }
    guard hasLinear else {
      return norms.isEmpty
        ? .nothing : .fault(fault(norms, "norms without a linear layer", widths))
    }
    let (own, beside) = (inner.filter { !$0.isOther }, outer.filter { !$0.isOther })
    let hasOuter = beside.contains(where: \.isLinear)
    for width in widths {
      let whole = Self.chain(own + beside, from: width)
      if hasOuter, !innerComesFirst || whole == nil, let chain = Self.chain(beside, from: width) {
        if let several = several(in: chain, widths) { return .fault(several) }
        var found = found(chain, width)
        found.unused = own
        return .found(found)
      }
      if let whole {
        return several(in: whole, widths).map { .fault($0) } ?? .found(found(whole, width))
      }
    }
    let linears = all.filter(\.isLinear)
    let reason =
      linears.count > 1 ? "layers that do not follow one another" : "a layer of other features"
    return .fault(fault(all.filter { !$0.isOther }, reason, widths))
  }

  private func fault(_ modules: [HeadModule], _ found: String, _ widths: [Int]) -> HeadFault {
    let features = widths.map(String.init).joined(separator: " or ")
    return HeadFault(
      tensors: modules.flatMap(\.names), found: found,
      expected: "linear layers and norms, one behind the other, from \(features) features on")
  }

  /// Linear layers that may be parallel instead of consecutive, where their names do not tell.
  private func several(in chain: [HeadModule], _ widths: [Int]) -> HeadFault? {
    let linears = chain.filter(\.isLinear)
    for (index, next) in linears.enumerated().dropFirst() {
      let before = linears[index - 1]
      guard linears[..<index].contains(where: { $0.inputs == next.inputs }),
        !before.precedes(next), !(isOwn(before) && !isOwn(next))
      else { continue }
      return fault(
        [before, next], "what may be two heads or one, as the names carry no order", widths)
    }
    return nil
  }

  /// Whether a tensor that is in no module could be multiplied with or added to what a head sees:
  /// a scale, a value for each feature, class or colour, a table of them. Others are something else.
  private func fits(_ shape: [Int], _ widths: [Int]) -> Bool {
    let extents = shape.filter { $0 != 1 }
    var known = Set(widths)
    for case .linear(let inputs, let outputs, _) in (inner + outer).map(\.kind) {
      known.formUnion([inputs, outputs])
    }
    return extents.isEmpty || extents == [3]
      || extents.count <= 2 && extents.contains { known.contains($0) }
  }

  private func isOwn(_ module: HeadModule) -> Bool { inner.contains { $0.path == module.path } }

  // MARK: - Order

  private static let maximumModules = 40
  private static let maximumSteps = 20_000

  /// All of `modules` in an order in which each takes what the one before it gives; as their names
  /// say, or else at least in the order of a `Sequential`, or as in the file.
  private static func chain(_ modules: [HeadModule], from width: Int) -> [HeadModule]? {
    chain(modules, from: width) { $0.precedes($1) }
      ?? chain(modules, from: width) { first, second in
        guard let a = first.position, let b = second.position else { return false }
        return a < b && first.path.dropLast() == second.path.dropLast()
      }
  }

  private static func chain(
    _ modules: [HeadModule], from width: Int, _ precedes: (HeadModule, HeadModule) -> Bool
  ) -> [HeadModule]? {
    guard !modules.isEmpty, modules.count <= maximumModules else { return nil }
    var (steps, order) = (0, [Int]())
    func isNext(_ index: Int) -> Bool {
      !modules.indices.contains { !order.contains($0) && precedes(modules[$0], modules[index]) }
    }
    func extend(_ width: Int) -> Bool {
      if order.count == modules.count { return true }
      steps += 1
      guard steps < maximumSteps else { return false }
      for index in modules.indices where !order.contains(index) && isNext(index) {
        guard let outputs = modules[index].outputs(of: width) else { continue }
        order.append(index)
        if extend(outputs) { return true }
        order.removeLast()
      }
      return false
    }
    return extend(width) ? order.map { modules[$0] } : nil
  }

  // MARK: - Layers without parameters

  private func found(_ chain: [HeadModule], _ inputs: Int) -> Found {
    var found = Found(inputs: inputs)
    var index = chain.startIndex
    while index < chain.endIndex {
      found.append(layer(chain[index], isFirst: index == 0), chain[index])
      guard chain[index].isLinear,
        let next = chain[(index + 1)...].firstIndex(where: \.isLinear)
      else {
        index += 1
        continue
      }
      let norms = chain[(index + 1)..<next]
      let gap = gap(chain[index], Array(norms), chain[next])
      for (place, norm) in norms.enumerated() {
        if place == gap?.place { add(gap, to: &found) }
        found.append(layer(norm, isFirst: false), norm)
      }
      if gap?.place == norms.count { add(gap, to: &found) }
      index = next
    }
    return found
  }

  private func add(_ gap: Gap?, to found: inout Found) {
    guard let gap else { return }
    let chosen = gap.isOpen ? option.map(\.activation) ?? gap.usual : gap.usual
    found.isOpen = found.isOpen || gap.isOpen
    if let chosen { found.append(.activation(chosen), nil) }
  }

  private func layer(_ module: HeadModule, isFirst: Bool) -> HeadLayer {
    switch module.kind {
    case .linear(_, let outputs, let bias): .linear(outputs: outputs, bias: bias)
    case .layerNorm:
      .layerNorm(
        epsilon: isFirst && module.position == 0 ? firstEpsilon : HeadLayer.defaultEpsilon)
    case .batchNorm(_, let affine):
      .batchNorm(epsilon: HeadLayer.defaultEpsilon, affine: affine)
    case .other: preconditionFailure("no chain has one")
    }
  }

  /// Room for an activation between two linear layers.
  private struct Gap {
    /// How many of the norms between them stand before it.
    var place = 0
    var usual: HeadActivation?
    /// Whether the file leaves open what it is.
    var isOpen = true
  }

  private func gap(_ first: HeadModule, _ norms: [HeadModule], _ second: HeadModule) -> Gap? {
    let parent = first.path.dropLast()
    // timm's and open_clip's own heads.
    if parent.last == "pre_logits" || first.path.suffix(3) == ["head", "mlp", "fc1"] {
      return Gap(usual: .gelu, isOpen: false)
    }
    if isOwn(first), !isOwn(second) { return Gap(usual: nil) }
    let run = [first] + norms + [second]
    let positions = run.compactMap(\.position)
    guard positions.count == run.count, run.allSatisfy({ $0.path.dropLast() == parent }) else {
      // Named: batch norms stand before the activation, layer norms behind it, as in timm's Mlp.
      let isBatch = norms.contains { if case .batchNorm = $0.kind { true } else { false } }
      return Gap(place: isBatch ? norms.count : 0, usual: usual)
    }
    guard let (start, end) = positions.first.flatMap({ low in positions.last.map { (low, $0) } }),
      start < end, let empty = (start..<end).first(where: { !positions.contains($0) })
    else {
      // A `ModuleList` of linear layers has its activation in code.
      let isList = norms.isEmpty && ["layers", "linears", "fcs"].contains(parent.last)
      return isList ? Gap(usual: usual) : nil
    }
    return Gap(place: positions.count { $0 < empty } - 1, usual: usual)
  }
}
