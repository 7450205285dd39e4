/// What a caller can do about an error or a note, with what it takes.
///
/// A message says what is wrong; which argument or option helps depends on who reads it: `Wording`
/// has the words.
package enum Remedy: Sendable, Hashable {
  // MARK: Files

  /// Replace the file that is in the way.
  case overwrite
  /// Read a PyTorch file in spite of its checksums.
  case skipChecksums
  /// Convert the checkpoint, and read the result.
  case convert(String, to: String)
  /// Put the signature of this model beside it, or sign it.
  case sign(String)
  /// Get the signature of a model that is not there to be signed; whether its place can be named.
  case getSignature(isNamed: Bool)
  /// Say the password of a secret key.
  case password

  // MARK: Packed files

  /// Unpack this file, and use the result.
  case unpack(String)
  /// Continue a transfer from this byte of the packed file.
  case continueTransfer(from: Int)
  /// Transfer the file from its first byte.
  case transferFromStart
  /// Begin the output anew.
  case startTransferAgain

  // MARK: Calibration

  /// Let the model make the data that are lacking.
  case ownData
  /// Gather statistics anew, in another file.
  case calibrateAgain
  /// Use the statistics that are there, or remove them.
  case keepStatistics
  /// Gather statistics although the scheme has no use for them.
  case keepStatisticsOnly

  // MARK: Which part of a checkpoint

  /// Choose another state than the one that was taken.
  case anotherState
  /// Choose one of these states.
  case chooseState([String])
  /// Leave out a head that cannot be run.
  case leaveOutHead
  /// Leave out tensors that the model does not have.
  case leaveOutTensors
  /// Extract values, not codes.
  case extractValues

  // MARK: Parts of a model that lie elsewhere

  /// Name the folder of the vision tower; with a command that downloads it.
  case visionTower(download: String?)
  /// The same of the slow tower, which is timm's.
  case visionTowerSlow(download: String?)
  /// Name the folder of the language model that a projector was trained for.
  case languageModel(stated: String?, download: String?)
  /// Give the language half in GGUF, and this file as its vision half.
  case languageHalf(vision: String)
  /// Convert a language half together with this vision half.
  case visionHalf(String)
  /// Give both halves in GGUF by name.
  case nameHalves(language: String, vision: String)
  /// Give a vision half with a language half in GGUF only.
  case visionHalfOfGGUF

  // MARK: What describes a model

  /// Name the activation between the layers of a head.
  case headActivation
  /// Say what a classifier's outputs are.
  case scores
  /// Say that a classifier's output is a quantity.
  case rawScores
  /// Give the names of the classes in a file.
  case otherLabels
  /// The same in this file, if it has them.
  case labels(file: String)
  /// Name a file with the preprocessing, in place of none or of an assumption.
  case preprocessor(Preprocessor)
  /// Frame questions by a template, which is not done otherwise: "one", "another", "one of a, b".
  case frame(String)

  package enum Preprocessor: Sendable, Hashable {
    /// Other steps than those assumed.
    case otherSteps
    /// A file that has what this one lacks.
    case missing
    /// A file in place of one that is not there.
    case absent
    /// A file of a kind that is read.
    case ofKnownKind
    /// A file with the model's own steps.
    case ofModel
  }

  // MARK: Running a model

  /// Take another template.
  case anotherTemplate
  /// Have a context of this many positions.
  case shorterContext(Int)
  /// Give the tower a picture whose shorter side is smaller.
  case smallerSide
  /// Resize the picture to fewer pixels.
  case smallerSize
  /// Save the picture in another form, which takes less memory.
  case saveAgain(String)
  /// Take what is left of a damaged picture.
  case acceptDamage
}
