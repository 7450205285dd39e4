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
  /// What the file takes beside its tensors.
  private let overhead: Overhead

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
    let isOfEachAlone = statistics.map { !$0.countsTogether } ?? false
    var found: [Int: MixtureItem] = [:]
    for (done, index) in order.enumerated() {
      if cancelled?.isCancelled ?? false { throw WorkCancelled() }
      progress(done, order.count)
      let item = conversion.plan.items[index]
      let sensitivity =
        statistics?.sensitivity(of: item.spec.path).map {
          isOfEachAlone && inBlocks.contains(item.spec.path)
            ? LossConstants.togetherInBlocks * $0 : $0
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
    overhead = try Overhead(conversion, statistics)
  }

  /// Bytes of the tensors that no choice is made for, as the budget counts them.
  private func fixedByteCount(_ budget: Budget) -> Int {
    conversion.byteCount(budget) { _ in 0 }
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
  ///   - losses: what conversions before were found to lose.
  ///   - excess: bytes by which a file before was larger than was planned.
  ///   - aim: part of a budget's loss that is to be expected.
  /// - Throws: `ConversionError` for a budget that no mixture keeps to, with the least that is
  ///   possible.
  package func plan(
    _ budget: Budget, losses: MeasuredLosses = MeasuredLosses(), excess: Int = 0, aim: Double = 1
  ) throws -> Conversion {
    let solver = MixtureSolver(items(budget))
    let fixed = fixedByteCount(budget)
    let mixture: Mixture
    switch budget {
    case .size(let bytes, _):
      return try plan(fileOf: bytes, budget, solver, losses, excess: excess)
    case .bits(let bits):
      let bytes = try conversion.byteCount(ofBits: bits, budget)
      mixture = solver.mixture(within: bytes - fixed) ?? solver.smallest
    case .scheme(_, let bytes):
      // A scheme's own mixture is one of the choices but for pinned ones, which count as they are.
      mixture = solver.mixture(within: bytes - fixed) ?? solver.smallest
    case .loss(let loss):
      guard let found = solver.mixture(losing: losses.sum(losing: aim * loss)) else {
        let least = significant(losses.loss(expecting: solver.best.loss))
        throw ConversionError(
          path: conversion.source.catalog.path,
          .setting(
            budget.setting, found: significant(loss),
            expected: "at least \(least), which the model loses in the most bits"))
      }
      mixture = found
    }
    return planned(mixture, budget, solver, losses)
  }

  /// The same; where no mixture loses so little, the one that loses least.
  package func nearest(
    _ budget: Budget, losses: MeasuredLosses, aim: Double = 1
  ) throws -> Conversion {
    do { return try plan(budget, losses: losses, aim: aim) } catch {
      guard case .loss = budget else { throw error }
      let solver = MixtureSolver(items(budget))
      return planned(solver.best, budget, solver, losses)
    }
  }

  /// Index, provenance and report are as long as the mixture makes them: a mixture is planned for what
  /// those of the one before took, until it is no use any more.
  private static let mostPlans = 6

  /// The mixture that loses least in a file of at most `limit` bytes.
  private func plan(
    fileOf limit: Int, _ budget: Budget, _ solver: MixtureSolver, _ losses: MeasuredLosses,
    excess: Int
  ) throws -> Conversion {
    let (fixed, bytes) = (fixedByteCount(budget), limit - excess)
    var assumed = try overhead.byteCount(of: conversion)
    var best: Mixture?
    for _ in 0..<Self.mostPlans {
      guard let mixture = solver.mixture(within: bytes - fixed - assumed) else { break }
      let taken = try overhead.byteCount(of: planned(mixture, budget, solver, losses))
      if mixture.byteCount + fixed + taken <= bytes {
        if mixture.loss < best?.loss ?? .infinity { best = mixture }
        if taken >= assumed { break }
      }
      assumed = taken > assumed || best == nil ? max(taken, assumed + 1) : taken
    }
    if let best { return planned(best, budget, solver, losses) }
    let smallest = planned(solver.smallest, budget, solver, losses)
    let tensors = solver.smallest.byteCount + fixed
    // Whether it fits is known when it is written, and a try is better than to refuse what fits.
    let likely = tensors + (try overhead.byteCount(of: smallest, isSafe: false))
    guard likely > bytes else { return smallest }
    let least = tensors + (try overhead.byteCount(of: smallest)) + excess
    throw conversion.refusal(ofSize: budget, limit, least: least)
  }

  private func planned(
    _ mixture: Mixture, _ budget: Budget, _ solver: MixtureSolver, _ losses: MeasuredLosses
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
      budget: budget, unit: unit, basis: basis, solver: solver, mixture: mixture,
      fixedByteCount: fixed, losses: losses)
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
  /// - Parameter statistics: as provenance will name those that the model is calibrated by.
  /// - Throws: `ConversionError` with the least that is possible.
  package func requireRoom(
    for budget: Budget, statistics: (any TensorStatistics)? = nil
  ) throws {
    let bytes = leastByteCount(budget)
    switch budget {
    case .size(let limit, let given):
      // Only files of little room are worth the work.
      guard limit < bytes + bytes / 4 + Self.roomyOverhead else { return }
      let overhead = try Overhead(self, statistics)
      // The report has the budget, in as many digits as what is told has.
      var least = limit
      for _ in 0..<2 {
        let told = Budget.size(max(limit, least), as: given)
        least =
          bytes + (try overhead.byteCount(of: smallest(told, isCalibrated: statistics != nil)))
      }
      if limit < least { throw refusal(ofSize: budget, limit, least: least) }
    case .bits(let bits): _ = try byteCount(ofBits: bits, budget)
    case .scheme, .loss: break
    }
  }

  /// Bytes of so many bits per weight.
  ///
  /// - Throws: `ConversionError` where they are fewer than the model takes.
  fileprivate func byteCount(ofBits bits: Double, _ budget: Budget) throws(ConversionError) -> Int {
    let count = Double(max(1, plan.parameterCount))
    let (bytes, least) = (Int((bits * count / 8).rounded(.down)), leastByteCount(budget))
    // Rounded up: what is told must work, whatever a product of it is rounded to.
    let told = (800 * Double(least) / count).rounded(.up) / 100
    if bytes < least, bits < told {
      throw refusal(of: budget, shortest(bits), least: decimal(told, 2))
    }
    return bytes
  }

  /// Bytes of all tensors in the fewest bits, as the budget counts them.
  private func leastByteCount(_ budget: Budget) -> Int {
    byteCount(budget) { spec in
      SchemeErrors.schemes(withHalves: false)
        .compactMap { spec.role.format(scheme: $0).byteCount(shape: spec.shape) }.min() ?? 0
    }
  }

  /// Bytes of all tensors, as the budget counts them.
  ///
  /// - Parameter free: those of a tensor whose scheme may be chosen.
  fileprivate func byteCount(_ budget: Budget, free: (TensorSpec) -> Int) -> Int {
    plan.items.indices.reduce(0) { sum, index in
      let item = plan.items[index]
      return sum + budget.counted(isFree(index) ? free(item.spec) : item.byteCount)
    }
  }

  /// Both sizes are in the unit that the limit was given in.
  fileprivate func refusal(ofSize budget: Budget, _ limit: Int, least: Int) -> ConversionError {
    var given: GivenSize?
    if case .size(_, let text) = budget { given = text }
    let unit = given?.unit ?? ByteUnit(of: limit)
    return refusal(of: budget, given?.text ?? unit.text(limit), least: unit.text(atLeast: least))
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
    let bytes = byteCount(budget) { $0.role.format(scheme: .q8).byteCount(shape: $0.shape) ?? 0 }
    switch budget {
    case .size(let limit, _): return limit > bytes
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

  /// More than anything beside the tensors takes.
  private static let roomyOverhead = 256 << 20

  /// The conversion in the fewest bits, with a report as long as one of its budget is.
  private func smallest(_ budget: Budget, isCalibrated: Bool) throws -> Conversion {
    let schemes = SchemeErrors.schemes(withHalves: false)
    let items = plan.items.indices.filter { isFree($0) }.compactMap { index -> MixtureItem? in
      let spec = plan.items[index].spec
      let choices = schemes.compactMap { scheme in
        spec.role.format(scheme: scheme).byteCount(shape: spec.shape).map {
          MixtureItem.Choice(
            scheme: scheme, byteCount: budget.counted($0), loss: 1 / Double(index + 3))
        }
      }
      return choices.isEmpty
        ? nil : MixtureItem(name: spec.path, role: spec.role, choices: choices)
    }
    var planned = self
    planned.plan = plan.with(
      Dictionary(
        items.map { ($0.name, $0.choices[0].scheme) }, uniquingKeysWith: { first, _ in first }))
    let solver = MixtureSolver(items)
    planned.spending = Spending(
      budget: budget, unit: .divergence, basis: .measured, solver: solver,
      mixture: solver.smallest, fixedByteCount: 0, losses: MeasuredLosses())
    // The report names what calibration rescales.
    if isCalibrated { planned.rescaling = try Rescaling(announcedFor: planned) }
    return planned
  }
}

/// As somebody would write it: "3", not "3.0".
private func shortest(_ bits: Double) -> String {
  Int(exactly: bits).map { "\($0)" } ?? "\(bits)"
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
