import VLMContainer
import VLMFoundation
import VLMTensor

/// Plans conversions of one model within budgets. What its matrices cost in each scheme is measured
/// once.
package struct BudgetPlanner {
  /// Of which the schemes of all matrices are chosen but for those that a pattern names.
  private let conversion: Conversion
  private let statistics: StatisticsFile?
  private let items: [MixtureItem]
  private let basis: Spending.Basis
  package let unit: LossUnit
  /// Bytes of the file beside its tensors, or a few more.
  private let overhead: Int

  /// Measures what each matrix costs.
  ///
  /// - Parameters:
  ///   - conversion: as `unrestricted` made it.
  ///   - statistics: of the rows that its matrices multiply; nil to go by errors of weights.
  ///   - withHalves: whether f16 and bf16 are schemes to choose from.
  ///   - progress: called with matrices done, of all.
  package init(
    _ conversion: Conversion, _ statistics: StatisticsFile?, withHalves: Bool,
    cancelled: CancellationFlag? = nil, progress: (Int, Int) -> Void = { _, _ in }
  ) throws {
    self.conversion = conversion
    self.statistics = statistics
    let hasSensitivities = statistics?.hasSensitivities ?? false
    basis = statistics == nil ? .weights : hasSensitivities ? .measured : .products
    let description = conversion.source.description
    let classifies = description.classCount != nil && conversion.source.scores != .raw
    unit = description.language != nil || classifies ? .divergence : .featureError
    let schemes = SchemeErrors.schemes(withHalves: withHalves)
    var errors = SchemeErrors(conversion, statistics)
    // Matrices of one group one after the other: their Hessian is factored once.
    let free = conversion.plan.items.indices.filter { conversion.isFree($0) }
    let order = free.sorted { a, b in
      func group(_ index: Int) -> String {
        let name = conversion.plan.items[index].spec.path
        return statistics?.group(of: name)?.name ?? name
      }
      return (group(a), a) < (group(b), b)
    }
    let inLanguage = try description.languageTensors()
    let inBlocks = Set(
      conversion.plan.items.filter {
        inLanguage.contains($0.spec.path) && ![.head, .embedding].contains($0.spec.role)
      }.map(\.spec.path))
    var found: [Int: MixtureItem] = [:]
    for (done, index) in order.enumerated() {
      if cancelled?.isCancelled ?? false { throw CancellationError() }
      progress(done, order.count)
      let item = conversion.plan.items[index]
      let sensitivity =
        statistics?.sensitivity(of: item.spec.path).map {
          inBlocks.contains(item.spec.path) ? LossConstants.togetherInBlocks * $0 : $0
        } ?? LossConstants.loss(of: item.spec.role)
      // Behind a norm a few inputs dominate every row alike; elsewhere they are rare and huge.
      let isDominated =
        item.spec.role == .downProjection && statistics?.isDominated(item.spec.path) ?? false
      let caution = isDominated ? LossConstants.caution : 1
      let measured = try errors.measure(item, schemes)
      found[index] = MixtureItem(
        name: item.spec.path, role: item.spec.role,
        choices: zip(schemes, measured).map { scheme, error in
          let bytes = item.spec.role.format(scheme: scheme).byteCount(shape: item.spec.shape) ?? 0
          return .init(
            scheme: scheme, byteCount: bytes, loss: caution * sensitivity * error)
        })
    }
    progress(order.count, order.count)
    items = free.compactMap { found[$0] }
    overhead = try conversion.overhead(statistics)
  }

  /// Bytes of the tensors that no choice is made for, as the budget counts them.
  private func fixedByteCount(_ budget: Budget) -> Int {
    let plan = conversion.plan
    return plan.items.indices.filter { !conversion.isFree($0) }.reduce(0) {
      $0 + budget.counted(plan.items[$1].byteCount)
    }
  }

  /// The choices with their bytes as the budget counts them.
  private func items(_ budget: Budget) -> [MixtureItem] {
    items.map { item in
      MixtureItem(
        name: item.name, role: item.role,
        choices: item.choices.map {
          .init(scheme: $0.scheme, byteCount: budget.counted($0.byteCount), loss: $0.loss)
        })
    }
  }

  /// The conversion with the mixture that loses least within `budget`, or takes least.
  ///
  /// - Parameters:
  ///   - correction: what losses are multiplied by, as conversions before have shown.
  ///   - excess: bytes by which a file before was larger than was planned.
  /// - Throws: `ConversionError` for a budget that no mixture keeps to, with the least that is
  ///   possible.
  package func plan(
    _ budget: Budget, correction: Double = 1, excess: Int = 0
  ) throws(ConversionError) -> Conversion {
    let solver = MixtureSolver(items(budget))
    let fixed = fixedByteCount(budget)
    let parameters = conversion.plan.parameterCount
    func refuse(_ found: String, _ expected: String) -> ConversionError {
      ConversionError(
        path: conversion.source.catalog.path,
        .setting(budget.setting, found: found, expected: expected))
    }
    let mixture: Mixture
    switch budget {
    case .size(let bytes):
      let smallest = solver.smallestByteCount + fixed + overhead + excess
      guard let found = solver.mixture(within: bytes - fixed - overhead - excess) else {
        throw conversion.refusal(of: budget, "\(bytes) bytes", least: "\(smallest)")
      }
      mixture = found
    case .bits(let bits):
      let smallest =
        8 * Double(solver.smallestByteCount + fixed) / Double(max(1, parameters))
      let bytes = Int((bits * Double(parameters) / 8).rounded(.down))
      guard let found = solver.mixture(within: bytes - fixed) else {
        // Rounded up: what is told must work.
        let least = (smallest * 100).rounded(.up) / 100
        throw conversion.refusal(of: budget, "\(bits)", least: decimal(least, 2))
      }
      mixture = found
    case .scheme(_, let bytes):
      // A scheme's own mixture is one of the choices but for pinned ones, which count as they are.
      guard let found = solver.mixture(within: max(bytes - fixed, solver.smallestByteCount)) else {
        throw refuse("\(bytes) bytes", "at least \(solver.smallestByteCount + fixed)")
      }
      mixture = found
    case .loss(let loss):
      guard let found = solver.mixture(losing: loss / correction) else {
        throw refuse(
          significant(loss),
          "at least \(significant(solver.best.loss * correction)), which the model loses in the most bits"
        )
      }
      mixture = found
    }
    return planned(mixture, budget, solver, correction: correction)
  }

  /// The same; where no mixture loses so little, the one that loses least.
  package func nearest(_ budget: Budget, correction: Double) throws(ConversionError) -> Conversion {
    do { return try plan(budget, correction: correction) } catch {
      guard case .loss = budget else { throw error }
      let solver = MixtureSolver(items(budget))
      return planned(solver.best, budget, solver, correction: correction)
    }
  }

  private func planned(
    _ mixture: Mixture, _ budget: Budget, _ solver: MixtureSolver, correction: Double
  ) -> Conversion {
    let fixed = fixedByteCount(budget)
    var schemes: [String: Scheme] = [:]
    for (item, place) in zip(solver.items, mixture.places) {
      schemes[item.name] = item.choices[place].scheme
    }
    var planned = conversion
    planned.plan = conversion.plan.with(schemes)
    if case .scheme(let scheme, _) = budget { planned.label = scheme.name }
    planned.spending = Spending(
      budget: budget, unit: unit, basis: basis, items: solver.items, mixture: mixture,
      curve: solver.curve(points: 100).map { ($0.byteCount + fixed, $0.loss) },
      fixedByteCount: fixed, correction: correction)
    return planned
  }
}

extension Conversion {
  /// The same with a choice of schemes for all matrices that no pattern names: in the fewest bits
  /// that make use of everything that can be known.
  package var unrestricted: Conversion {
    var conversion = self
    conversion.label = "mixed"
    for index in plan.items.indices where isFree(index) {
      let role = plan.items[index].spec.role
      conversion.plan.items[index].format = role.format(scheme: .q4)
      conversion.plan.items[index].reason = nil
    }
    return conversion
  }

  /// Refuses a budget of bytes that nothing keeps to, before a model is run for it.
  ///
  /// - Throws: `ConversionError` with the least that is possible.
  package func requireRoom(for budget: Budget) throws {
    let bytes = plan.items.indices.reduce(0) { sum, index in
      let item = plan.items[index]
      let formats =
        isFree(index)
        ? SchemeErrors.schemes(withHalves: false).map { item.spec.role.format(scheme: $0) }
        : [item.format]
      let least = formats.compactMap { $0.byteCount(shape: item.spec.shape) }.min() ?? 0
      return sum + budget.counted(least)
    }
    switch budget {
    case .size(let limit):
      let least = bytes + (try overhead(nil))
      if limit < least { throw refusal(of: budget, "\(limit) bytes", least: "\(least)") }
    case .bits(let bits):
      // Rounded up: what is told must work.
      let least = (800 * Double(bytes) / Double(max(1, plan.parameterCount))).rounded(.up) / 100
      if bits < least { throw refusal(of: budget, "\(bits)", least: decimal(least, 2)) }
    case .scheme, .loss: break
    }
  }

  fileprivate func refusal(
    of budget: Budget, _ found: String, least: String
  ) -> ConversionError {
    ConversionError(
      path: source.catalog.path,
      .setting(
        budget.setting, found: found,
        expected: "at least \(least), which the model takes in the fewest bits"))
  }

  /// Whether a budget leaves room for more than 8 bits of every matrix.
  package func exceedsBytes(_ budget: Budget) -> Bool {
    let bytes = plan.items.indices.reduce(0) { sum, index in
      let item = plan.items[index]
      let format = isFree(index) ? item.spec.role.format(scheme: .q8) : item.format
      return sum + (format.byteCount(shape: item.spec.shape) ?? 0)
    }
    switch budget {
    case .size(let limit): return limit > bytes
    case .bits(let bits): return bits * Double(plan.parameterCount) > 8 * Double(bytes)
    case .scheme: return false
    case .loss: return true
    }
  }

  /// Whether the scheme of an item of the plan may be chosen.
  func isFree(_ index: Int) -> Bool {
    let spec = plan.items[index].spec
    return spec.role.isQuantizable && !overrides.contains { $0.matches(spec.path) }
  }

  /// Bytes of the file beside its tensors, or a few more.
  func overhead(_ statistics: (any TensorStatistics)?) throws -> Int {
    var planned = self
    // As much as the report of a mixture says, at its longest.
    planned.spending = nil
    var errors: [String: QuantizationError] = [:]
    var random: UInt64 = 1
    func number() -> Float {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(random >> 40) / Float(1 << 24)
    }
    for item in plan.items {
      let values = (0..<4).map { _ in number() }
      errors[item.spec.path] = QuantizationError(values: values, decoded: values.map { $0 * 0.9 })
    }
    var digests: [String: UInt64] = [:]
    for path in source.files { digests[path] = 0x0123_4567_89ab_cdef }
    let sections = try planned.sections(
      planned.report(errors, statistics), digests, statistics)
    // The budget's own part of the report, compressed with the rest: a line for each kind.
    let kinds = Set(plan.items.map { $0.spec.path.filter { !$0.isNumber } }).count
    return ContainerSize.overhead(
      sections: sections.map(\.content),
      tensors: plan.items.map { ($0.spec.path, $0.spec.shape.count) },
      container: source.container) + 512 + 48 * kinds
  }
}

extension Budget {
  /// What a tensor counts of the budget: in a file it is padded.
  func counted(_ byteCount: Int) -> Int {
    if case .size = self { ContainerSize.padded(byteCount) } else { byteCount }
  }
}

extension ConversionPlan {
  /// The same plan with other schemes for the tensors of those names.
  package func with(_ schemes: [String: Scheme]) -> ConversionPlan {
    var plan = self
    for index in items.indices {
      guard let scheme = schemes[items[index].spec.path] else { continue }
      plan.items[index].format = items[index].spec.role.format(scheme: scheme)
      plan.items[index].reason = nil
    }
    return plan
  }
}
