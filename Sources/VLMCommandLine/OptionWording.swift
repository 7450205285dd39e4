import VLMFoundation

extension Wording {
  /// Settings and remedies by the options of the commands.
  package static let options = Wording(name: optionName, end: optionEnd)

  @Sendable private static func optionName(of setting: Setting) -> String {
    switch setting {
    case .bits: "--bits"
    case .calibration: "--calibrate"
    case .headActivation: "--head-activation"
    case .labelsFile: "--labels-file"
    case .loss: "--loss"
    case .modelBase: "--model-base"
    case .plan: "--plan"
    case .scores: "--scores"
    case .size: "--size"
    case .state: "--state"
    case .tensorSchemes: "--tensor-type"
    case .visionHalf: "--mmproj"
    case .visionTower: "--vision-tower"
    case .visionTowerSlow: "--vision-tower-slow"
    case .keepsAspect: "--keep-aspect"
    case .picture: "--image"
    case .resolution: "--size"
    }
  }

  @Sendable private static func optionEnd(of remedy: Remedy) -> String {
    switch remedy {
    case .overwrite: "; use --force to replace it"
    case .skipChecksums: " (--no-verify reads it all the same)"
    case .convert(let path, let output):
      "; if vlm-convert reads its model, convert it first: vlm-convert \(path.quotedForShell) "
        + output.quotedForShell
    case .sign(let path):
      "; it comes with the model, or is made by vlm-convert sign \(path.quotedForShell) --key FILE"
    case .getSignature(let isNamed):
      "; it comes with the model from whoever signed that"
        + (isNamed ? ", and --signature FILE says where it lies" : "")
    case .password: "; --password-file FILE says it"
    case .unpack(let path):
      "; unpack it first: vlm-convert unpack \(path.quotedForShell) "
        + path.unpackedName.quotedForShell
    case .continueTransfer(let offset):
      "; what came is kept: --resume continues, and needs the file from byte \(offset) on "
        + "(curl -r \(offset)-)"
    case .transferFromStart: "; transfer it from its first byte"
    case .startTransferAgain: "; without --resume it is begun anew"
    case .ownData: "; '--calibrate self' makes what is lacking"
    case .calibrateAgain: "; calibrate again with another --statistics"
    case .keepStatistics: "; remove the file, or leave --calibrate out to use it"
    case .keepStatisticsOnly: "; or --statistics to keep what is found out"
    case .anotherState: "; --state chooses another"
    case .chooseState(let states):
      "; choose it with "
        + states.prefix(8).map { "--state \($0.quotedForShell)" }.joined(separator: ", or ")
    case .leaveOutHead: "; --ignore-unexpected leaves it out"
    case .leaveOutTensors: "; use --ignore-unexpected to leave them out"
    case .extractValues: "; extract without --codes"
    case .visionTower(let download):
      "; download that and name the folder with --vision-tower" + parenthesized(download)
    case .visionTowerSlow(let download):
      "; download timm's and name the folder with --vision-tower-slow" + parenthesized(download)
    case .languageModel(let stated, let download):
      "; name the folder of the language model\(between(stated)) that it was trained for with "
        + "--model-base" + parenthesized(download)
    case .languageHalf(let vision):
      "; give the GGUF of its language half, and this one with --mmproj "
        + "'\(vision.escapedForDisplay())'"
    case .visionHalf(let vision): ": --mmproj '\(vision.escapedForDisplay())' converts both"
    case .nameHalves(let language, let vision):
      "; name the two that are meant, as in vlm-convert '\(language.escapedForDisplay())' OUT "
        + "--mmproj '\(vision.escapedForDisplay())'"
    case .visionHalfOfGGUF: ": --mmproj names the vision half of such a file"
    case .headActivation: "; --head-activation names another, or none"
    case .scores: "; --scores says what the outputs are"
    case .rawScores: "; --scores raw if it is a quantity"
    case .otherLabels: "; --labels-file gives others"
    case .labels(let file):
      "; if it names the classes: --labels-file \(file.escapedForDisplay())"
    case .preprocessor(.otherSteps): "; --preprocessor FILE names other steps"
    case .preprocessor(.missing): ": --preprocessor names a file that has it"
    case .preprocessor(.absent): ": --preprocessor names another"
    case .preprocessor(.ofKnownKind):
      "; --preprocessor FILE names one, such as a preprocessor_config.json"
    case .preprocessor(.ofModel): "; --preprocessor FILE names one with the model's steps"
    case .frame(let choice): " unless --template names \(choice)"
    case .anotherTemplate: "; --template names another"
    case .shorterContext(let positions): "; --ctx \(positions) fits"
    case .smallerSide: "; --size with a smaller side takes less"
    case .smallerSize: "; a smaller --size takes less"
    case .saveAgain(let form): "; saved again \(form) it takes less"
    case .acceptDamage: "; --damaged accept shows what there is"
    }
  }
}

extension ReportableError {
  /// The line that a command shows, with its options.
  package var shown: String { description(in: .options) }
}

extension Note {
  /// The line that a command shows, with its options.
  package var shown: String { description(in: .options) }
}
