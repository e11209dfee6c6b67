"""Every setting that a person may want to tune, each with its unit and meaning.

Ranges are (low, high) and drawn uniformly unless the comment says otherwise. Probabilities are
0 (never) to 1 (always). Lengths in "em" are multiples of the font size, lengths in px are pixels of
the generated image.
"""

from pathlib import Path

STATIC = Path(__file__).resolve().parent
BACKGROUNDS = STATIC / "backgrounds"  # photographs without text
FONTS = STATIC / "fonts"  # .ttf and .otf, searched recursively
WORDS = STATIC / "words"  # one list a language, one word a line
MODEL = STATIC / "model"  # the bundled weights, train.py's start without a network

# --- Scene -----------------------------------------------------------------------------------
IMAGE_SIZE = 512  # px, side of the square image
PAGE_PROBABILITY = 0.3  # share of images that are a sheet of paper instead of a scene
EMPTY_PROBABILITY = 0.06  # share of images without any text
BLOCKS = (2, 9)  # blocks of text tried in a scene
PLACEMENT_TRIES = 24  # random places looked at for a block before it is dropped
PLACEMENT_TEMPERATURE = 6.0  # grey levels a px; the higher, the more text lands on busy places
BLOCK_MARGIN = 0.35  # em, empty band around a block that no other block may enter

# --- Text ------------------------------------------------------------------------------------
LANGUAGE_SHARES = {"english": 0.65, "russian": 0.35}  # share of blocks in each language
KIND_SHARES = {  # share of each kind of token
    "word": 0.45,  # from the language's list
    "common": 0.30,  # from the short list of its most frequent words
    "number": 0.09,
    "price": 0.03,
    "date": 0.03,
    "time": 0.02,
    "phone": 0.02,
    "web": 0.02,
    "code": 0.03,
    "letter": 0.01,
}
CASE_SHARES = {"lower": 0.42, "title": 0.28, "upper": 0.30}  # one draw a block
PUNCTUATION_PROBABILITY = 0.12  # that a word carries a comma, full stop, quotes, brackets, ...
LINES = (1, 4)  # lines in a block of a scene
LINE_WORDS = (1, 4)  # words in a line of a scene
PARAGRAPH_PROBABILITY = 0.12  # that a block is a dense paragraph instead
PARAGRAPH_LINES = (3, 7)
PARAGRAPH_WORDS = (3, 6)
LARGEST_BLOCK = 0.92  # of the image's side; larger blocks are shrunk to it
SMALLEST_SHRINK = 0.4  # blocks that would have to shrink more are dropped
FONT_SIZE = (12, 190)  # px an em, drawn log-uniformly; capital letters are about 0.7 em
PARAGRAPH_FONT_SIZE = (10, 22)  # px an em, log-uniform
MIN_CHARACTER_SIDE = 2.0  # px, words with a character cell narrower than this are dropped
MIN_WORD_HEIGHT = 5.0  # px, words lower than this are dropped
LINE_SPACING = (1.0, 1.5)  # em, baseline to baseline
TRACKING = (-0.02, 0.12)  # em added between letters
WIDE_TRACKING_PROBABILITY = 0.06
WIDE_TRACKING = (0.15, 0.5)  # em, spaced-out lettering
WORD_SPACE = (0.6, 1.6)  # times the font's own space
CELL_PADDING = 0.04  # of the word's ink height, added above and below for the character cells
MIN_CELL_HEIGHT = 0.3  # em, so that a dash or a full stop keeps a cell that can be seen

# --- Geometry --------------------------------------------------------------------------------
CURVE_PROBABILITY = 0.12  # that a block of a scene stands on an arc, a wave or a free curve
TURNED_LETTERS_PROBABILITY = 0.6  # that its letters are turned one by one, else bent with the curve
CURVE_LINES = 2  # lines at most that are bent together; letters turned one by one stand on one line
CURVE_TURN = (
    25,
    140,
)  # degrees between a curve's extreme directions; below 150 none looks upside down
CURVE_BEND = 0.34  # largest curvature times the text's height above the line; below 0.35
CURVE_WAVES = (0.5, 1.3)  # periods of a wave
STACK_PROBABILITY = 0.02  # that a block of a scene is one word with its letters below each other
STACK_LENGTH = (2, 11)  # letters of such a word, the second one excluded
STACK_CAPITALS_PROBABILITY = 0.7
ELASTIC_PROBABILITY = 0.08  # that a block is gently warped as if on cloth
ELASTIC_WAVES = 3  # plane waves that add up to the displacement
ELASTIC_AMPLITUDE = (0.02, 0.08)  # em, each wave's
ELASTIC_WAVELENGTH = (2.0, 7.0)  # em
ELASTIC_SLOPE = 0.45  # largest slope of the displacement; from 1 on it would fold
FOCAL_LENGTH = (0.9, 2.5)  # times the image's side, one draw an image
SMALL_ROTATION = (-6, 6)  # degrees, most blocks
LARGE_ROTATION_PROBABILITY = 0.18
LARGE_ROTATION = (-45, 45)  # degrees
ANY_ROTATION_PROBABILITY = 0.03  # the whole circle
TILT_PROBABILITY = 0.5  # that an image's text lies on tilted planes
TILT = (-45, 45)  # degrees, turn of a plane about its vertical and (half of it) horizontal axis
PAGE_ROTATION = (-4, 4)  # degrees
PAGE_TILT = (-12, 12)  # degrees

# --- Ink -------------------------------------------------------------------------------------
RED, GREEN, BLUE = (0, 255), (0, 255), (0, 255)  # levels of an ink's, outline's or sign's colour
GREY_INK_PROBABILITY = 0.45  # that an ink is one of INK_GREYS instead
INK_GREYS = (0, 20, 40, 235, 255)  # levels; black and white are the most frequent inks of the world
OPACITY = (0.6, 1.0)  # of the ink
MIN_CONTRAST = 20.0  # CIELAB distance (hue counts half) of ink and surroundings, after blending
CONTRAST_BUSYNESS = 0.7  # times the surroundings' own spread, added to it
COLOUR_TRIES = 5  # colours tried before a block is dropped
PLATE_PROBABILITY = 0.2  # flat sign behind the block
PLATE_OPACITY = (0.75, 1.0)
PLATE_PADDING = (0.15, 0.6)  # em
STROKE_PROBABILITY = 0.12  # outline in another colour
STROKE_WIDTH = (0.02, 0.07)  # em
SHADOW_PROBABILITY = 0.15
SHADOW_OFFSET = (0.03, 0.1)  # em
SHADOW_OPACITY = (0.3, 0.8)
WEAR_PROBABILITY = 0.25  # that the letters' mask is thickened, thinned, blurred or spotted
INVERT_PAGE_PROBABILITY = 0.06  # light text on dark paper

# --- Pages -----------------------------------------------------------------------------------
PAGE_FONT_SIZE = (11, 22)  # px an em, log-uniform, the body text
PAGE_TITLE_SCALE = (1.2, 2.4)  # times the body text
PAGE_MARGIN = (0.02, 0.1)  # of the side
PAGE_RULE_PROBABILITY = 0.6  # that a page has ruled lines, boxes or table lines
PAGE_PAPER_LEVEL = (190, 255)  # grey level of the paper

# --- Backgrounds -----------------------------------------------------------------------------
FLAT_BACKGROUND_PROBABILITY = 0.2  # plain colour or gradient with grain instead of a photograph
BACKGROUND_CROP = (0.35, 1.0)  # of the photograph's shorter side
DISTRACTOR_PROBABILITY = 0.5  # that things which are not text are drawn before the text
DISTRACTORS = (1, 9)  # how many of them: windows, fences, bricks, foliage, wheels, arrows, ...

# --- Camera ----------------------------------------------------------------------------------
BLUR_PROBABILITY = 0.3
NOISE_PROBABILITY = 0.3
DOWNSCALE_PROBABILITY = 0.15
JPEG_PROBABILITY = 0.25  # besides the file's own compression
COLOUR_PROBABILITY = 0.5
GREY_PROBABILITY = 0.07
SHADOW_PATCH_PROBABILITY = 0.1
JPEG_QUALITY = 93  # of the written file, 1..100

# --- Heatmaps --------------------------------------------------------------------------------
GAUSSIAN_ENLARGE = 1.5  # a character's patch is its cell enlarged this much about its centre
GAUSSIAN_SIGMA = 0.2  # of the patch's side (CRAFT's trainer: sigma 40 in a patch of 200)

# --- Training --------------------------------------------------------------------------------
PRETRAINED = "nvidia/segformer-b0-finetuned-ade-512-512"
LABELS = ("character", "affinity")  # the channels, in this order

# --- Decoding: CRAFT's own thresholds, overridden by a model's detection.json ------------------
TEXT_THRESHOLD = 0.7  # 0..1, a word's highest character value must reach it
LINK_THRESHOLD = 0.4  # 0..1, affinity above it joins characters
LOW_TEXT = 0.4  # 0..1, character values above it belong to a word
DECODER = (
    "proportional"  # how boxes grow beyond low_text's contour: so, or by CRAFT's dilation, "craft"
)
STRIDE = 32  # px, the sides of the network's input are multiples of it
LONG_SIDE = 1280  # px, longer side of the image that the network sees
