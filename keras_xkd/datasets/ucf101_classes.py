"""The classes of UCF101 in the order of its `classInd.txt`."""

UCF101_CLASSES = tuple(
    """
    ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam
    BandMarching BaseballPitch Basketball BasketballDunk BenchPress Biking
    Billiards BlowDryHair BlowingCandles BodyWeightSquats Bowling
    BoxingPunchingBag BoxingSpeedBag BreastStroke BrushingTeeth CleanAndJerk
    CliffDiving CricketBowling CricketShot CuttingInKitchen Diving Drumming
    Fencing FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl
    GolfSwing Haircut Hammering HammerThrow HandstandPushups
    HandstandWalking HeadMassage HighJump HorseRace HorseRiding HulaHoop
    IceDancing JavelinThrow JugglingBalls JumpingJack JumpRope Kayaking
    Knitting LongJump Lunges MilitaryParade Mixing MoppingFloor Nunchucks
    ParallelBars PizzaTossing PlayingCello PlayingDaf PlayingDhol
    PlayingFlute PlayingGuitar PlayingPiano PlayingSitar PlayingTabla
    PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting
    RockClimbingIndoor RopeClimbing Rowing SalsaSpin ShavingBeard Shotput
    SkateBoarding Skiing Skijet SkyDiving SoccerJuggling SoccerPenalty
    StillRings SumoWrestling Surfing Swing TableTennisShot TaiChi
    TennisSwing ThrowDiscus TrampolineJumping Typing UnevenBars
    VolleyballSpiking WalkingWithDog WallPushups WritingOnBoard YoYo
    """.split()
)

# The classes of UCF50, whose clips have no sound.
SILENT = set(
    """
    BaseballPitch Basketball BenchPress Biking Billiards BreastStroke
    CleanAndJerk Diving Drumming Fencing GolfSwing HighJump HorseRace
    HorseRiding HulaHoop JavelinThrow JugglingBalls JumpingJack JumpRope
    Kayaking Lunges MilitaryParade Mixing Nunchucks PizzaTossing
    PlayingGuitar PlayingPiano PlayingTabla PlayingViolin PoleVault
    PommelHorse PullUps Punch PushUps RockClimbingIndoor RopeClimbing Rowing
    SalsaSpin SkateBoarding Skiing Skijet SoccerJuggling Swing TaiChi
    TennisSwing ThrowDiscus TrampolineJumping VolleyballSpiking
    WalkingWithDog YoYo
    """.split()
)

# Those that UCF101 added, with sound.
UCF51_CLASSES = tuple(name for name in UCF101_CLASSES if name not in SILENT)
