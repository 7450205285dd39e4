/// The prefix of a ConvNeXt's names in a checkpoint, and their naming.
struct ConvNeXtLocation: Hashable {
  /// What the names look like behind `prefix`.
  enum Form: Hashable {
    case plain
    /// The trunk as a list of torchvision's, without "features." before it.
    case list
    /// timm's stem and stages as children 0 and 1 of a `Sequential`.
    case children
    /// timm's `features_only`: "stages_0".
    case flat
    /// The image tower of open_clip without "visual.".
    case tower
  }

  let naming: ConvNeXtNaming
  let prefix: String
  let form: Form

  /// The place under which most blocks are found; nil where there is none, or where the ConvNeXt is
  /// the smaller part of another model.
  init?(_ names: [String]) {
    var votes: [ConvNeXtLocation: Int] = [:]
    for name in names {
      if let place = ConvNeXtLocation(block: name) { votes[place, default: 0] += 1 }
    }
    // Equal ones by prefix: nothing may depend on the order of a dictionary.
    guard
      let best = votes.max(by: { ($0.value, $1.key.prefix) < ($1.value, $0.key.prefix) })?.key
    else { return nil }
    let inside = names.count { $0.hasPrefix(best.prefix) }
    guard best.prefix.isEmpty || inside > names.count / 2 else { return nil }
    self = best
  }

  private init(naming: ConvNeXtNaming, _ prefix: ArraySlice<Substring>, form: Form = .plain) {
    self.naming = naming
    self.prefix = prefix.map { $0 + "." }.joined()
    self.form = form
  }

  /// The place that a block's first convolution, or what torchvision has beside it, speaks for.
  private init?(block name: String) {
    let part = name.split(separator: ".", omittingEmptySubsequences: false)
    func isNumber(_ index: Int) -> Bool { index < part.count && Int(part[index]) != nil }
    for index in part.indices.dropLast(2) {
      let before = part[..<index]
      let rest = part.count - index
      switch part[index] {
      case "stages" where isNumber(index + 1) && rest == 6 && part[index + 4] == "conv_dw":
        self.init(timm: before)
        return
      case "stages" where isNumber(index + 1) && rest == 6 && part[index + 4] == "depthwise_conv":
        // transformers 5 has its trunk in a module of this name.
        let isModel = before.last == "model" && part[index + 2] == "layers"
        self.init(naming: .dinov3, isModel ? before.dropLast() : before)
        return
      case "stages" where isNumber(index + 1) && isNumber(index + 2) && rest == 5:
        switch (part[index + 3], part[index + 4]) {
        case ("dwconv", _): self.init(naming: .facebook, before)
        case ("depthwise_conv", _): self.init(naming: .openMMLab, before)
        default: return nil
        }
        return
      case "encoder" where part[index + 1] == "stages" && rest == 7 && part[index + 5] == "dwconv":
        let isNamed = before.last == "convnext" || before.last == "convnextv2"
        self.init(naming: .huggingFace, isNamed ? before.dropLast() : before)
        return
      case let stage where stage.hasPrefix("stages_") && rest == 5 && part[index + 3] == "conv_dw":
        self.init(naming: .timm, before, form: .flat)
        return
      case "1"
      where isNumber(index + 1) && part[index + 2] == "blocks" && rest == 6
        && part[index + 4] == "conv_dw":
        self.init(naming: .timm, before, form: .children)
        return
      case let place where rest == 3 && part[index + 2] == "layer_scale" && isNumber(index + 1):
        guard Int(place).map({ $0 % 2 == 1 }) == true else { return nil }
        let isNamed = before.last == "features"
        self.init(
          naming: .torchvision, isNamed ? before.dropLast() : before,
          form: isNamed ? .plain : .list)
        return
      default: continue
      }
    }
    return nil
  }

  private init(timm before: ArraySlice<Substring>) {
    guard before.last == "trunk" else {
      self.init(naming: .timm, before)
      return
    }
    let inner = before.dropLast()
    let isNamed = inner.last == "visual"
    self.init(
      naming: .openCLIP, isNamed ? inner.dropLast() : inner, form: isNamed ? .plain : .tower)
  }

  /// Whether a name belongs to open_clip's text tower.
  func isOfTexts(_ name: String) -> Bool {
    guard naming == .openCLIP else { return false }
    let part = name.split(separator: ".", omittingEmptySubsequences: false)
    let shared = zip(part, prefix.split(separator: ".")).prefix { $0 == $1 }.count
    return shared < part.count && CLIPHead.openCLIPTexts.contains(part[shared])
  }

  /// A name without the prefix; nil for one that is not the ConvNeXt's.
  func inside(_ name: String) -> String? {
    guard let rest = name.dropping(prefix) else { return nil }
    switch form {
    case .plain:
      // Beside its image tower, open_clip has the parts of texts.
      return naming != .openCLIP || rest.hasPrefix("visual.") ? rest : nil
    case .list:
      let isPart = rest.split(separator: ".").first.map { Int($0) != nil } ?? false
      return isPart ? "features." + rest : nil
    case .children:
      let scopes = ["0": "stem", "1": "stages", "2": "norm_pre", "3": "head"]
      guard let dot = rest.firstIndex(of: "."), let scope = scopes[String(rest[..<dot])] else {
        return nil
      }
      return scope + rest[dot...]
    case .flat:
      for scope in ["stem_", "stages_"] {
        if let inner = rest.dropping(scope) { return scope.dropLast() + "." + inner }
      }
      return rest
    case .tower: return "visual." + rest
    }
  }
}
