"""The small world of all synthetic texts: facts as typed, immutable tables.

Tasks and pretraining corpora draw from them alone, so they agree. Every order is fixed.
"""

from typing import NamedTuple


class Material(NamedTuple):
    """What things are made of, and how that behaves."""

    name: str
    hardness: str  # hard | soft
    water: str  # floats | sinks
    fire: str  # burns | melts | stays
    touch: str  # smooth | rough | warm | cold


class Thing(NamedTuple):
    """An object of daily life. `use` is a bare verb phrase: "a knife is used to cut bread"."""

    name: str
    material: str
    colour: str
    size: str  # tiny | small | large | huge
    place: str
    use: str


class Animal(NamedTuple):
    """An animal. `sound` and `move` are verbs, third person: "a dog barks", "a dog runs"."""

    name: str
    group: str  # mammal | bird | fish | insect | reptile
    covering: str  # fur | feathers | scales | shell | skin | wings
    home: str
    food: str
    sound: str
    move: str
    size: str
    young: str


class Food(NamedTuple):
    """Something to eat or drink, its taste and its source."""

    name: str
    group: str  # fruit | vegetable | drink | meal | dairy
    taste: str  # sweet | sour | salty | bitter
    colour: str
    source: str  # tree | field | garden | cow | oven | kitchen


class Job(NamedTuple):
    """A job. `does` is a verb phrase, third person: "a baker makes bread"."""

    name: str
    place: str
    tool: str
    does: str


class Cause(NamedTuple):
    """A pair of events. `event` brings about `effect`."""

    event: str
    effect: str
    topic: str  # weather | heat | water | force | light | health


class Situation(NamedTuple):
    """What `{a}` does to or for `{b}`, and what follows from it."""

    act: str  # "helped {b} carry the box"
    feeling_of_b: str
    trait_of_a: str
    reason_of_a: str  # bare verb phrase: "be friendly"
    next_of_b: str  # bare verb phrase: "thank {a}"
    good: bool


class Activity(NamedTuple):
    """A script: steps in order, third person present, the subject left out."""

    name: str
    place: str
    steps: tuple[str, str, str, str]


class Contrast(NamedTuple):
    """Two opposite adjectives, the noun of their scale, and what someone of each kind does."""

    more: str
    less: str
    scale: str
    more_does: str  # third person: "lifts the stone"
    less_does: str


MATERIALS: tuple[Material, ...] = (
    Material("wood", "hard", "floats", "burns", "rough"),
    Material("metal", "hard", "sinks", "stays", "cold"),
    Material("glass", "hard", "sinks", "stays", "smooth"),
    Material("stone", "hard", "sinks", "stays", "rough"),
    Material("paper", "soft", "floats", "burns", "smooth"),
    Material("wool", "soft", "floats", "burns", "warm"),
    Material("cotton", "soft", "floats", "burns", "warm"),
    Material("plastic", "hard", "floats", "melts", "smooth"),
    Material("wax", "soft", "floats", "melts", "smooth"),
    Material("rubber", "soft", "floats", "melts", "rough"),
)

THINGS: tuple[Thing, ...] = (
    Thing("knife", "metal", "grey", "small", "kitchen", "cut bread"),
    Thing("spoon", "metal", "grey", "small", "kitchen", "eat soup"),
    Thing("pot", "metal", "black", "large", "kitchen", "boil water"),
    Thing("cup", "glass", "white", "small", "kitchen", "drink tea"),
    Thing("plate", "stone", "white", "small", "kitchen", "hold food"),
    Thing("hammer", "metal", "black", "small", "workshop", "hit nails"),
    Thing("saw", "metal", "grey", "large", "workshop", "cut boards"),
    Thing("ladder", "wood", "brown", "huge", "workshop", "climb up"),
    Thing("rope", "cotton", "yellow", "large", "workshop", "tie things"),
    Thing("brush", "wood", "red", "small", "workshop", "paint walls"),
    Thing("broom", "wood", "brown", "large", "house", "sweep floors"),
    Thing("lamp", "glass", "yellow", "small", "house", "light rooms"),
    Thing("candle", "wax", "white", "small", "house", "make light"),
    Thing("key", "metal", "grey", "tiny", "house", "open doors"),
    Thing("clock", "plastic", "black", "small", "house", "tell time"),
    Thing("bed", "wood", "brown", "huge", "bedroom", "sleep at night"),
    Thing("blanket", "wool", "blue", "large", "bedroom", "keep warm"),
    Thing("pillow", "cotton", "white", "small", "bedroom", "rest heads"),
    Thing("towel", "cotton", "green", "large", "bathroom", "dry hands"),
    Thing("soap", "wax", "yellow", "tiny", "bathroom", "wash hands"),
    Thing("comb", "plastic", "red", "tiny", "bathroom", "tidy hair"),
    Thing("mirror", "glass", "grey", "large", "bathroom", "see faces"),
    Thing("pen", "plastic", "blue", "tiny", "school", "write letters"),
    Thing("book", "paper", "red", "small", "school", "read stories"),
    Thing("map", "paper", "green", "large", "school", "find roads"),
    Thing("ruler", "wood", "yellow", "small", "school", "draw lines"),
    Thing("ball", "rubber", "red", "small", "park", "play games"),
    Thing("kite", "paper", "blue", "large", "park", "play in wind"),
    Thing("bench", "stone", "grey", "huge", "park", "sit outside"),
    Thing("shovel", "metal", "brown", "large", "garden", "dig holes"),
    Thing("bucket", "plastic", "blue", "large", "garden", "carry water"),
    Thing("hose", "rubber", "green", "large", "garden", "water plants"),
    Thing("boat", "wood", "white", "huge", "lake", "cross water"),
    Thing("net", "cotton", "green", "large", "lake", "catch fish"),
    Thing("boot", "rubber", "black", "small", "lake", "keep dry"),
    Thing("coat", "wool", "brown", "large", "shop", "stay warm"),
    Thing("basket", "wood", "brown", "large", "shop", "carry food"),
    Thing("coin", "metal", "yellow", "tiny", "shop", "buy things"),
)

ANIMALS: tuple[Animal, ...] = (
    Animal("dog", "mammal", "fur", "house", "meat", "barks", "runs", "large", "puppy"),
    Animal("cat", "mammal", "fur", "house", "fish", "purrs", "jumps", "small", "kitten"),
    Animal("cow", "mammal", "fur", "farm", "grass", "moos", "walks", "huge", "calf"),
    Animal("horse", "mammal", "fur", "farm", "hay", "neighs", "runs", "huge", "foal"),
    Animal("sheep", "mammal", "fur", "farm", "grass", "bleats", "walks", "large", "lamb"),
    Animal("bear", "mammal", "fur", "forest", "honey", "growls", "walks", "huge", "cub"),
    Animal("mouse", "mammal", "fur", "field", "seeds", "squeaks", "runs", "tiny", "pup"),
    Animal("hen", "bird", "feathers", "farm", "corn", "clucks", "walks", "small", "chick"),
    Animal("duck", "bird", "feathers", "lake", "bread", "quacks", "swims", "small", "duckling"),
    Animal("owl", "bird", "feathers", "forest", "mice", "hoots", "flies", "small", "owlet"),
    Animal("eagle", "bird", "feathers", "mountain", "meat", "screams", "flies", "large", "eaglet"),
    Animal("frog", "reptile", "skin", "lake", "flies", "croaks", "jumps", "tiny", "tadpole"),
    Animal(
        "snake", "reptile", "scales", "desert", "mice", "hisses", "crawls", "large", "hatchling"
    ),
    Animal("turtle", "reptile", "shell", "sea", "leaves", "snaps", "swims", "large", "hatchling"),
    Animal("shark", "fish", "scales", "sea", "fish", "splashes", "swims", "huge", "pup"),
    Animal("bee", "insect", "wings", "garden", "honey", "buzzes", "flies", "tiny", "grub"),
    Animal("ant", "insect", "shell", "field", "leaves", "ticks", "crawls", "tiny", "grub"),
)

FOODS: tuple[Food, ...] = (
    Food("apple", "fruit", "sweet", "red", "tree"),
    Food("lemon", "fruit", "sour", "yellow", "tree"),
    Food("pear", "fruit", "sweet", "green", "tree"),
    Food("cherry", "fruit", "sweet", "red", "tree"),
    Food("carrot", "vegetable", "sweet", "orange", "garden"),
    Food("onion", "vegetable", "bitter", "white", "garden"),
    Food("cabbage", "vegetable", "bitter", "green", "garden"),
    Food("corn", "vegetable", "sweet", "yellow", "field"),
    Food("bread", "meal", "salty", "brown", "oven"),
    Food("cake", "meal", "sweet", "brown", "oven"),
    Food("soup", "meal", "salty", "orange", "kitchen"),
    Food("cheese", "dairy", "salty", "yellow", "cow"),
    Food("milk", "dairy", "sweet", "white", "cow"),
    Food("butter", "dairy", "salty", "yellow", "cow"),
    Food("coffee", "drink", "bitter", "black", "field"),
    Food("tea", "drink", "bitter", "brown", "field"),
    Food("juice", "drink", "sweet", "orange", "tree"),
)

PLACES: tuple[str, ...] = (
    "kitchen", "workshop", "house", "bedroom", "bathroom", "school", "park", "garden", "lake",
    "shop", "farm", "forest", "field", "mountain", "desert", "sea",
)  # fmt: skip

JOBS: tuple[Job, ...] = (
    Job("baker", "bakery", "oven", "makes bread"),
    Job("doctor", "hospital", "needle", "heals people"),
    Job("teacher", "school", "chalk", "teaches children"),
    Job("farmer", "farm", "tractor", "grows corn"),
    Job("builder", "street", "hammer", "builds houses"),
    Job("fisher", "sea", "net", "catches fish"),
    Job("gardener", "garden", "shovel", "plants flowers"),
    Job("cook", "kitchen", "pot", "makes soup"),
    Job("painter", "workshop", "brush", "paints walls"),
    Job("driver", "road", "bus", "drives people"),
    Job("seller", "shop", "coins", "sells clothes"),
    Job("guard", "gate", "key", "locks doors"),
)

WOMEN: tuple[str, ...] = ("anna", "mary", "lucy", "emma", "sara", "nina", "kate", "jane")
MEN: tuple[str, ...] = ("tom", "john", "paul", "mark", "ben", "sam", "leo", "carl")
PEOPLE: tuple[str, ...] = WOMEN + MEN

CAUSES: tuple[Cause, ...] = (
    Cause("it rained all day", "the street got wet", "weather"),
    Cause("it snowed all night", "the hill turned white", "weather"),
    Cause("the wind blew hard", "the leaves flew away", "weather"),
    Cause("the sun shone all day", "the ground got dry", "weather"),
    Cause("the ice lay in the sun", "the ice melted", "heat"),
    Cause("the pot stood on the fire", "the water boiled", "heat"),
    Cause("the bread stayed in the oven too long", "the bread burned", "heat"),
    Cause("the water stood in the cold", "the water froze", "heat"),
    Cause("the plant got no water", "the plant dried up", "water"),
    Cause("the seed got water and light", "the seed grew", "water"),
    Cause("the boat had a hole", "the boat sank", "water"),
    Cause("the glass fell on the floor", "the glass broke", "force"),
    Cause("the boy kicked the ball", "the ball flew away", "force"),
    Cause("the child pulled the rope", "the bell rang", "force"),
    Cause("the car hit a wall", "the car was damaged", "force"),
    Cause("the lamp was turned off", "the room got dark", "light"),
    Cause("the sun came up", "the sky got bright", "light"),
    Cause("the girl ate too much cake", "the girl felt sick", "health"),
    Cause("the man slept well", "the man felt fresh", "health"),
    Cause("the woman ran a long way", "the woman got tired", "health"),
)

SITUATIONS: tuple[Situation, ...] = (
    Situation("helped {b} carry the box", "grateful", "helpful", "be useful", "thank {a}", True),
    Situation("gave {b} a present", "happy", "generous", "please {b}", "open the present", True),
    Situation("took {b} to the doctor", "relieved", "caring", "heal {b}", "get better", True),
    Situation("told {b} a joke", "amused", "funny", "make {b} laugh", "laugh out loud", True),
    Situation("taught {b} to swim", "proud", "patient", "teach {b}", "swim alone", True),
    Situation("shared the cake with {b}", "glad", "kind", "feed {b}", "eat the cake", True),
    Situation("stole the bag of {b}", "angry", "dishonest", "get money", "call the police", False),
    Situation("shouted at {b}", "scared", "rude", "hurt {b}", "run away", False),
    Situation("lied to {b}", "betrayed", "false", "hide the truth", "stop trusting {a}", False),
    Situation("broke the toy of {b}", "sad", "careless", "show anger", "fix the toy", False),
    Situation("laughed at {b}", "ashamed", "mean", "feel better", "hide from {a}", False),
    Situation("forgot to meet {b}", "lonely", "forgetful", "stay home", "go home alone", False),
)

ACTIVITIES: tuple[Activity, ...] = (
    Activity("making tea", "kitchen",
             ("boils the water", "puts tea in a cup", "pours the water", "drinks the tea")),
    Activity("baking a cake", "kitchen",
             ("mixes the flour", "fills the pan", "heats the oven", "eats the cake")),
    Activity("washing hands", "bathroom",
             ("opens the tap", "rubs the soap", "rinses the hands", "takes a towel")),
    Activity("planting a tree", "garden",
             ("digs a hole", "sets the tree", "fills the hole", "waters the tree")),
    Activity("painting a wall", "house",
             ("covers the floor", "opens the paint", "dips the brush", "paints the wall")),
    Activity("fishing", "lake",
             ("ties the hook", "throws the line", "waits for a fish", "pulls the line")),
    Activity("writing a letter", "school",
             ("takes a pen", "writes the words", "folds the paper", "sends the letter")),
    Activity("riding a bike", "park",
             ("puts on a helmet", "climbs on the bike", "rides down the path", "stops the bike")),
    Activity("going to bed", "bedroom",
             ("brushes the teeth", "lies down", "turns off the lamp", "falls asleep")),
    Activity("buying food", "shop",
             ("takes a basket", "picks the food", "pays the seller", "leaves the shop")),
    Activity("milking a cow", "farm",
             ("leads the cow", "cleans the bucket", "milks the cow", "carries the milk")),
    Activity("building a fire", "forest",
             ("gathers wood", "stacks the wood", "lights a match", "warms the hands")),
)  # fmt: skip

CONTRASTS: tuple[Contrast, ...] = (
    Contrast("big", "little", "size", "fills the door", "hides in the box"),
    Contrast("healthy", "sick", "health", "goes to work", "stays in bed"),
    Contrast("fast", "slow", "speed", "wins the race", "comes last"),
    Contrast("strong", "weak", "strength", "lifts the stone", "asks for help"),
    Contrast("old", "young", "age", "tells of the war", "goes to school"),
    Contrast("tall", "short", "height", "reaches the shelf", "needs a ladder"),
    Contrast("rich", "poor", "money", "pays for dinner", "borrows a coin"),
    Contrast("hungry", "full", "hunger", "eats the bread", "leaves the cake"),
    Contrast("loud", "quiet", "sound", "wakes the baby", "reads a book"),
    Contrast("brave", "afraid", "courage", "meets the bear", "runs away"),
)

MATERIAL_OF: dict[str, Material] = {material.name: material for material in MATERIALS}
