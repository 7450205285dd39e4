/// How messages name what can be set and what helps: in the words of a library, or with the options
/// of a command.
package struct Wording: Sendable {
  private let names: @Sendable (Setting) -> String
  private let ends: @Sendable (Remedy) -> String

  /// - Parameters:
  ///   - name: what a setting is called.
  ///   - end: the end of a message that has the remedy, from its punctuation on: "; …". Empty where
  ///     there is nothing to say.
  package init(
    name: @escaping @Sendable (Setting) -> String, end: @escaping @Sendable (Remedy) -> String
  ) {
    (names, ends) = (name, end)
  }

  /// What `setting` is called.
  package func name(of setting: Setting) -> String { names(setting) }

  /// The end of a message, from its punctuation on; empty without a remedy.
  package func end(_ remedy: Remedy?) -> String { remedy.map(ends) ?? "" }

  /// Arguments and members of options by what they are, as the Swift and C interfaces both have them.
  package static let library = Wording(name: libraryName, end: libraryEnd)

  @Sendable private static func libraryName(of setting: Setting) -> String {
    switch setting {
    case .bits: "bits per weight"
    case .calibration: "calibration"
    case .headActivation: "head activation"
    case .labelsFile: "labels file"
    case .loss: "loss"
    case .modelBase: "model base"
    case .plan: "plan file"
    case .scores: "scores"
    case .size: "size of the file"
    case .state: "state"
    case .tensorSchemes: "tensor schemes"
    case .visionHalf: "vision half"
    case .visionTower: "vision tower"
    case .visionTowerSlow: "slow vision tower"
    case .keepsAspect: "keep aspect"
    case .picture: "image"
    case .resolution: "resolution"
    }
  }

  @Sendable private static func libraryEnd(of remedy: Remedy) -> String {
    switch remedy {
    case .overwrite, .skipChecksums, .extractValues, .visionHalfOfGGUF, .anotherTemplate,
      .acceptDamage, .password:
      ""
    case .sign, .getSignature: "; it comes with the model from whoever signed that"
    case .convert: "; convert it first, if its model is read"
    case .unpack: "; unpack it first"
    case .continueTransfer(let offset): "; what came is kept, and continues from byte \(offset)"
    case .transferFromStart: "; transfer it from its first byte"
    case .startTransferAgain: "; begin anew, or continue with the other file"
    case .ownData: "; the model can make what is lacking itself"
    case .calibrateAgain: "; calibrate again into another file"
    case .keepStatistics: "; remove the file, or give no data to use it"
    case .keepStatisticsOnly: "; or a file for the statistics"
    case .anotherState: "; another can be chosen"
    case .chooseState(let states): "; choose " + quoted(states)
    case .leaveOutHead: "; it can be left out"
    case .leaveOutTensors: "; they can be left out"
    case .visionTower(let download): "; download that and name its folder" + parenthesized(download)
    case .visionTowerSlow(let download):
      "; download timm's and name its folder" + parenthesized(download)
    case .languageModel(let stated, let download):
      "; name the folder of the language model\(between(stated)) that it was trained for"
        + parenthesized(download)
    case .languageHalf: "; give the GGUF of its language half, and this one as the vision half"
    case .visionHalf: ": both can be converted together"
    case .nameHalves(let language, let vision):
      "; name the two that are meant, such as " + quoted([language]) + " and " + quoted([vision])
    case .headActivation: "; another can be named, or none"
    case .scores: "; say what the outputs are"
    case .rawScores: "; say so if it is a quantity"
    case .otherLabels: "; others can be given in a file"
    case .labels: "; give it as the labels file if it names the classes"
    case .preprocessor(.otherSteps): "; a file can name other steps"
    case .preprocessor(.missing): ": name a file that has it"
    case .preprocessor(.absent): ": name another file"
    case .preprocessor(.ofKnownKind): "; name one, such as a preprocessor_config.json"
    case .preprocessor(.ofModel): "; name a file with the model's steps"
    case .frame(let choice): " unless \(choice) is chosen"
    case .shorterContext(let positions): "; one of \(positions) fits"
    case .smallerSide: "; a smaller side takes less"
    case .smallerSize: "; resized to fewer pixels it takes less"
    case .saveAgain(let form): "; saved again \(form) it takes less"
    }
  }

  // MARK: - Parts of a remedy

  /// A command that downloads what is not here, behind what needs it.
  package static func parenthesized(_ download: String?) -> String {
    download.map { " (download it first: \($0))" } ?? ""
  }

  /// A name inside of a sentence, between commas.
  package static func between(_ name: String?) -> String {
    name.map { ", '\($0.escapedForDisplay())'," } ?? ""
  }

  private static func quoted(_ names: [String]) -> String {
    names.prefix(8).map { "'\($0.escapedForDisplay())'" }.joined(separator: " or ")
  }
}
