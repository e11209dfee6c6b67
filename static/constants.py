"""Every setting that a person may want to tune, each with its unit and meaning.

Ranges are (low, high) and drawn uniformly unless the comment says otherwise. Probabilities are
0 (never) to 1 (always). Lengths in "em" are multiples of the font size, lengths in px are pixels of
the generated image.

The sections from Scene to Camera are the generator's settings (textdet/synth/settings.py), which
`generate_images.py --settings FILE --set NAME=VALUE` changes for one run. Limits in a comment, such
as 1..100 or "at least 1", are checked then. A default with a decimal point may become any number
within its limits, another one a whole number.
"""

from pathlib import Path

STATIC = Path(__file__).resolve().parent
BACKGROUNDS = STATIC / "backgrounds"  # photographs without text
FONTS = STATIC / "fonts"  # .ttf and .otf, searched recursively
WORDS = STATIC / "words"  # one list a language, one word a line
PRESETS = STATIC / "presets"  # settings of the generator for kinds of images, NAME.toml each
PICTOGRAMS = STATIC / "pictograms" / "fa-solid-900.ttf"  # a font of things that are not text
IMAGE_SIZE = 512  # px, side of the square images

# --- Scene -----------------------------------------------------------------------------------
PAGE_PROBABILITY = 0.3  # share of images that are a sheet of paper instead of a scene
EMPTY_PROBABILITY = 0.06  # share of scenes without any text
BLOCKS = (2, 7)  # 0..1000, blocks of text tried in a scene
EXTRA_BLOCKS = 5  # 0..1000, more of them tried while a scene that is to hold text has none
SIGN_SCENE_PROBABILITY = 0.4  # share of scenes that hold a few large signs instead
SIGN_BLOCKS = (1, 3)  # 0..1000, blocks tried in such a scene
SIGN_FONT_SIZE = (70.0, 420.0)  # 1..4096 px an em, log-uniform; its blocks shrink to fit
PLACEMENT_TRIES = 24  # 1..10000, random places looked at for a block before it is dropped
PLACEMENT_TEMPERATURE = 6.0  # at least 0.01 grey levels a cell; high: more text on busy places
SURFACE_COST = 40.0  # grey levels, how much a place costs that lies off its surface
EDGE_LEVEL = 60.0  # grey levels a cell; edges above it count three times
CLUTTER_PROBABILITY = 0.16  # that a block stands anywhere, however busy the place
BLOCK_MARGIN = 0.35  # em, empty band around a block that no other block may enter
NEIGHBOUR_PROBABILITY = 0.4  # that a block stands close beside, over or under an earlier one
NEIGHBOUR_GAP = (0.25, 1.5)  # times BLOCK_MARGIN, between such neighbours
SAME_STYLE_PROBABILITY = 0.6  # that it has its neighbour's font, ink and (about) size
SAME_STYLE_SIZE = (0.7, 1.4)  # at least 0.01, times the neighbour's size, log-uniform
PLANES = (1, 3)  # 1..100, different tilts in a scene; all text on one surface shares its tilt
FOLLOW_PROBABILITY = 0.7  # that text runs along the lines of its surface, where it has any
LINE_COHERENCE = 0.35  # 0..1, how much of a surface's edges run one way before they count as lines
LARGEST_LEAN = 30.0  # 0..45 degrees, lines that lean more are not followed
OWN_ROLL_PROBABILITY = 0.25  # that a block is turned differently from others on its surface

# --- Text ------------------------------------------------------------------------------------
LANGUAGE_SHARES = {"english": 0.65, "russian": 0.35}  # share of blocks in each language
KIND_SHARES = {  # share of each kind of text
    "word": 0.41,  # from the language's list
    "common": 0.30,  # from the short list of its most frequent words
    "name": 0.05,  # of people; these and the next are up to five words long
    "number": 0.06,
    "price": 0.025,
    "date": 0.025,
    "time": 0.02,
    "phone": 0.01,
    "web": 0.015,
    "code": 0.025,
    "address": 0.015,
    "unit": 0.015,  # 5 kg, 15 %
    "sign": 0.03,  # SALE, 50 % OFF, NO PARKING
    "letter": 0.01,
}
CASE_SHARES = {"lower": 0.42, "title": 0.28, "upper": 0.30}  # one draw a block
PUNCTUATION_PROBABILITY = 0.12  # that a word carries a comma, full stop, quotes, brackets, ...
LINES = (1, 4)  # 1..100, lines in a block of a scene
LINE_WORDS = (1, 4)  # 1..100, words in a line of a scene
PARAGRAPH_PROBABILITY = 0.12  # that a block is a dense paragraph instead
PARAGRAPH_LINES = (3, 7)  # 1..1000
PARAGRAPH_WORDS = (3, 6)  # 1..1000
LARGEST_BLOCK = 0.92  # 0.05..1, of the image's side; larger blocks are shrunk to it
SHRINK_STEP = 0.65  # 0.05..0.95 times, how much smaller a block becomes when it finds no room
SMALLEST_SHRINK = 0.4  # 0.05..1, blocks that would have to shrink more to find room are dropped
FONT_SIZE = (12.0, 190.0)  # 1..4096 px an em, log-uniform; capitals are about 0.7 em high
PARAGRAPH_FONT_SIZE = (10.0, 22.0)  # 1..4096 px an em, log-uniform
MIN_CHARACTER_SIDE = 2.0  # px, blocks with a character cell narrower than this are dropped
MIN_FONT_SIZE = 9.0  # px an em, blocks with a smaller word are dropped: nobody can read it
LINE_LENGTH = 1400  # px, letters times em; longer lines are drawn anew: large ones stay large
LINE_SPACING = (1.0, 1.5)  # em, baseline to baseline; more where letters would meet
TRACKING = (-0.02, 0.12)  # em added between letters
WIDE_TRACKING_PROBABILITY = 0.06  # that a block is spaced out
WIDE_TRACKING = (0.15, 0.8)  # em, spaced-out lettering
WORD_SPACE = (0.7, 1.6)  # times the font's own space
NARROW_SPACE_PROBABILITY = 0.3  # that words of a scene stand closer, as on crowded signs
NARROW_SPACE = (0.5, 0.8)  # times the font's own space
SMALLEST_SPACE = 0.15  # em, no space is narrower
STRETCH_PROBABILITY = 0.35  # that a block of a scene has wider or narrower letters than its font
STRETCH = (0.65, 1.5)  # 0.1..10 times the font's width, log-uniform
CELL_PADDING = 0.04  # of the word's ink height, added above and below for the character cells
MIN_CELL_HEIGHT = 0.3  # em, so that a dash or a full stop keeps a cell that can be seen

# --- Geometry --------------------------------------------------------------------------------
CURVE_PROBABILITY = 0.12  # that a block of a scene stands on an arc, a wave or a free curve
TURNED_LETTERS_PROBABILITY = 0.6  # that its letters are turned one by one, else bent with the curve
CURVE_LINES = 2  # 1..100, most lines bent together; letters turned one by one stand on one line
CURVE_TURN = (25.0, 140.0)  # 0..150 degrees between a curve's extreme directions: none upside down
CURVE_BEND = 0.34  # 0..0.35, largest curvature times the text's height above the line
CURVE_SAG = 0.04  # at least 0.01 em, the most that a bent letter's side leaves a straight line
CURVE_WAVES = (0.5, 1.3)  # at least 0.01 periods of a wave
PICTOGRAM_PROBABILITY = 0.2  # that a straight block of a scene has a pictogram on one side
PICTOGRAM_SIZE = (0.9, 2.6)  # at least 0.01 em
PICTOGRAM_GAP = (0.25, 0.9)  # em, between it and the text
STACK_PROBABILITY = 0.02  # that a block of a scene is one word with its letters below each other
STACK_LENGTH = (2, 11)  # 1..100, letters of such a word, the second one excluded
STACK_CAPITALS_PROBABILITY = 0.7  # that these are capitals
ELASTIC_PROBABILITY = 0.08  # that a block is gently warped as if on cloth
ELASTIC_WAVES = 3  # 1..100, plane waves that add up to the displacement
ELASTIC_AMPLITUDE = (0.02, 0.08)  # em, each wave's
ELASTIC_WAVELENGTH = (2.0, 7.0)  # at least 0.01 em
ELASTIC_SLOPE = 0.45  # 0.01..0.5, largest slope of the displacement; from 1 on it would fold
FOCAL_LENGTH = (0.9, 2.5)  # at least 0.1, times the image's side, one draw an image
SMALL_ROTATION = (-6.0, 6.0)  # degrees, most blocks
LARGE_ROTATION_PROBABILITY = 0.18  # that a block is turned by LARGE_ROTATION
LARGE_ROTATION = (-45.0, 45.0)  # degrees
ANY_ROTATION_PROBABILITY = 0.03  # the whole circle
SIDEWAYS_PROBABILITY = 0.05  # upwards or downwards, as on banners, beside SMALL_ROTATION
TILT_PROBABILITY = 0.5  # that one of a scene's planes is tilted
TILT = (-45.0, 45.0)  # -85..85 degrees about a plane's vertical and (half of it) horizontal axis
PAGE_ROTATION = (-4.0, 4.0)  # degrees
PAGE_TILT = (-12.0, 12.0)  # -85..85 degrees, one page in two

# --- Ink -------------------------------------------------------------------------------------
RED, GREEN, BLUE = (0, 255), (0, 255), (0, 255)  # 0..255, of an ink's, outline's or sign's colour
GREY_INK_PROBABILITY = 0.45  # that an ink is one of INK_GREYS instead
INK_GREYS = (0, 20, 40, 235, 255)  # 0..255; black and white are the world's most frequent inks
OPACITY = (0.6, 1.0)  # 0..1, of the ink
MIN_CONTRAST = 24.0  # CIELAB distance (hue counts half) of ink and surroundings, after blending
CONTRAST_BUSYNESS = 0.7  # times the surroundings' own spread, added to it
COLOUR_TRIES = 5  # 1..1000, colours tried before a block is dropped
LEGIBLE_SHARE = 0.92  # of the ink of a block must stand out from what is next to it
LEGIBLE_DISTANCE = 5.0  # CIELAB, of a word's letters from the ground in the finished picture, and
LEGIBLE_RATIO = 0.7  # times the noise of both; words below either are don't-care
BLEND_SHARES = {  # how ink mixes with what is under it
    "normal": 0.84,
    "multiply": 0.05,  # darkens, like a print or a marker
    "screen": 0.03,  # lightens, like a projection
    "overlay": 0.03,  # keeps the background's lights and shades
    "poisson": 0.05,  # mixed gradients: the background's texture runs through the letters
}
POISSON_AREA = 60_000  # px, larger blocks are drawn normally: it takes 0.2 us a px
FILL_SHARES = {"flat": 0.86, "gradient": 0.06, "stripes": 0.02, "blotches": 0.06}  # of the letters
INK_LIGHT_PROBABILITY = 0.7  # that ink takes part in the background's light and texture
INK_SHADING = (0.2, 0.8)  # 0..1, of the background's light and shade
INK_GRAIN = (0.0, 0.9)  # 0..1, of the background's texture and noise
INK_BLUR = 1.2  # px of standard deviation, the most that letters are blurred to match a soft photo
INK_BLUR_EM = 0.03  # em, nor are they blurred more than this
PLATE_PROBABILITY = 0.25  # sign or sticker behind the block
PLATE_OPACITY = (0.8, 1.0)  # 0..1
PLATE_PADDING = (0.15, 0.6)  # em
PLATE_SHAPE_SHARES = {"rectangle": 0.45, "rounded": 0.4, "cut": 0.08, "notched": 0.07}  # corners
PLATE_BORDER_PROBABILITY = 0.35  # a line along the plate's edge
PLATE_BORDER = (0.03, 0.1)  # em, its width
SIGN_COLOUR_PROBABILITY = 0.6  # that a plate is one of SIGN_COLOURS (about) instead of any colour
SIGN_COLOURS = (  # 0..255; white, cream, black, and the blue, green, red, yellow, brown of signs
    (245, 245, 245),
    (236, 226, 200),
    (25, 25, 28),
    (20, 70, 150),
    (15, 105, 65),
    (180, 25, 35),
    (245, 200, 30),
    (100, 65, 40),
)
STROKE_PROBABILITY = 0.12  # outline in another colour
STROKE_WIDTH = (0.02, 0.07)  # em
STICKER_PROBABILITY = 0.25  # share of the outlines that are a sticker's broad rim
STICKER_RIM = (0.1, 0.2)  # em
SHADOW_PROBABILITY = 0.15  # that letters cast a shadow
SHADOW_OFFSET = (0.03, 0.1)  # em
SHADOW_BLUR = (0.0, 0.06)  # em, standard deviation
SHADOW_OPACITY = (0.3, 0.8)  # 0..1
GLOW_PROBABILITY = 0.1  # letters that shine, as of lit signs and neon
GLOW = (0.04, 0.2)  # em, standard deviation of the light around them
GLOW_STRENGTH = (0.4, 1.0)  # 0..1, of that light close to the letters
EXTRUSION_PROBABILITY = 0.06  # letters as solid bodies seen from the side
EXTRUSION = (0.04, 0.12)  # em, their depth
WEAR_FONT_SIZE = 20.0  # px an em, smaller letters are not worn or outlined: they would run together
WEAR_PROBABILITY = 0.25  # that the letters' mask is thickened, blurred or spotted
WEAR_SIZE = 3  # 1..100 px, how thick a brush thickens worn letters
WEAR_BLUR = (0.4, 1.0)  # at least 0.01 px, standard deviation
WEAR_DROPOUT = 0.05  # 0..1, share of a spotted letter's pixels
INVERT_PAGE_PROBABILITY = 0.06  # light text on dark paper

# --- Pages -----------------------------------------------------------------------------------
PAGE_KIND_SHARES = {  # share of each kind of page
    "mixed": 0.3,
    "form": 0.36,
    "letter": 0.14,
    "dense": 0.1,
    "receipt": 0.1,
}
PAGE_FONT_SIZE = (11.0, 22.0)  # 1..4096 px an em, log-uniform; lower case is about 0.5 em high
DENSE_FONT_SIZE = (9.0, 12.0)  # 1..4096 px an em, log-uniform, the body text of dense pages
PAGE_TITLE_SCALE = (1.2, 2.4)  # at least 0.01, times the body text
PAGE_TYPEWRITER_PROBABILITY = 0.4  # that the body's font has letters of equal width
PAGE_ONE_FONT_PROBABILITY = 0.6  # that headings and values are set in the body's font
PAGE_WORD_SPACE = (0.6, 1.2)  # times the font's own space
PAGE_TRACKING = (-0.02, 0.05)  # em added between letters
PAGE_MARGIN = (0.02, 0.1)  # 0..0.4, of the sheet's width
PAGE_COLUMNS = (1, 1, 1, 2)  # 1..20, one of them is drawn; receipts and letters have one
PAGE_RULE_PROBABILITY = 0.75  # that paragraphs, forms and tables are ruled; check boxes always are
RULE_LEVEL = (120, 255)  # 0..255, ink of a rule: 0 none, 255 as dark as its page's rules get
RULE_STYLE_SHARES = {"solid": 0.5, "dashed": 0.17, "dotted": 0.33}  # of fill-in and dividing rules
UNDERLINE_PROBABILITY = 0.25  # that a heading is underlined
PAGE_PAPER_LEVEL = (190.0, 255.0)  # 0..255, grey level of the paper
PAGE_INK_LEVEL = (0.0, 90.0)  # 0..255, grey level of the letters
PAGE_RULE_INK_LEVEL = (0.0, 150.0)  # 0..255, grey level of rules and boxes
STAMP_PROBABILITY = 0.15  # that a page is stamped where there is room
STAMP_INKS = ((150, 20, 30), (25, 35, 140), (60, 20, 110), (20, 20, 20))  # 0..255, red, green, blue
STAMP_TEXT_PROBABILITY = 0.6  # that a stamp has words in it, which are labelled
STAMP_ROTATION = (-30.0, 30.0)  # degrees
NUMBERING_PROBABILITY = 0.2  # a long number near the border, upright or lying on its side
PUNCH_PROBABILITY = 0.12  # holes for a binder, as a copier shows them
SCRIBBLE_PROBABILITY = 0.2  # a stroke or tick by hand in an empty place, besides signatures
DESK_PROBABILITY = 0.15  # that the sheet's edges are seen on a background
DESK_INSET = (0.02, 0.1)  # 0..0.4, of the side, from the image's border to the sheet
RECEIPT_WIDTH = (0.5, 0.8)  # 0.05..1, of the side
BLEED_PROBABILITY = 0.15  # that the reverse side shines through, mirrored; not labelled
BLEED_STRENGTH = (0.03, 0.14)  # 0..1, of full ink
FOLD_PROBABILITY = 0.15  # one or two creases with their shading
FOLD_STRENGTH = (0.05, 0.2)  # 0..1, of the light that a crease takes away
BINARY_PROBABILITY = 0.3  # black-and-white scan; its pixels are all ink or all paper
BINARY_THRESHOLD = (0.35, 0.65)  # 0..1, from the ink's level (0) to the paper's (1)
FAX_PROBABILITY = 0.1  # low contrast
FAX_CONTRAST = (0.35, 0.7)  # 0..1, of the full range that is left
SPECKLE_PROBABILITY = 0.3  # dust
SPECKLES = (10, 250)  # 0..100000, how many in 512 x 512 px
EDGE_PROBABILITY = 0.2  # dark bands along the sides, never over words
EDGE_WIDTH = (2, 20)  # px
STREAK_PROBABILITY = 0.1  # thin lines from top to bottom
STREAK_STRENGTH = (0.1, 0.5)  # 0..1, of full contrast

# --- Backgrounds -----------------------------------------------------------------------------
TEXTURE_PROBABILITY = 0.35  # that a scene stands on a drawn texture instead of a photograph
TEXTURE_SHARES = {  # of each kind among them
    "gradient": 0.24,
    "plaster": 0.14,
    "paper": 0.08,
    "metal": 0.12,
    "wood": 0.1,
    "asphalt": 0.06,
    "tiles": 0.08,
    "bricks": 0.1,
    "siding": 0.08,
}
TEXTURE_LIGHT = (0.0, 0.3)  # 0..1, how uneven its light is, share of its brightness
BACKGROUND_CROP = (0.35, 1.0)  # 0.05..1, of the photograph's shorter side
BACKGROUND_SIDE = 896  # 64..20000 px, the longer side that photographs are kept with at most
BACKGROUND_CACHE = 120  # MB of them kept in memory by each worker; the bundled ones fit in
DISTRACTOR_PROBABILITY = 0.5  # that things which are not text are drawn before the text
DISTRACTORS = (1, 7)  # 0..1000, how many of them
DISTRACTOR_SHARES = {  # share of each kind; 0 leaves one out
    "lines": 1,
    "box": 1,
    "disc": 1,
    "fence": 1,
    "windows": 1,
    "bricks": 1,
    "foliage": 1,
    "canopy": 1.2,
    "arrow": 1,
    "row": 1,
    "hatching": 1,
    "bar_code": 1,
    "qr_code": 1,
    "icon": 0.7,
    "pictograms": 4,
    "grid": 1,
    "lamps": 2,
    "reflections": 1.2,
    "shelves": 1,
    "glints": 1,
    "leaves": 1,
    "railing": 1,
    "zebra": 1,
    "gravel": 1,
    "holes": 1,
}

BACKGROUND_LIGHT_PROBABILITY = 0.6  # of another brightness and contrast
BACKGROUND_LIGHT = (-0.25, 0.25)  # of the full range (brightness), of its own (contrast)
BACKGROUND_HUE_PROBABILITY = 0.3  # of other hues, paler or stronger
BACKGROUND_HUE = (-15, 15)  # of 180 steps round the colour circle
BACKGROUND_SATURATION = (-40, 40)  # levels
BACKGROUND_BLUR_PROBABILITY = 0.15  # out of focus behind the text
BACKGROUND_BLUR = (0.5, 2.5)  # at least 0.01 px, standard deviation
BACKGROUND_GREY_PROBABILITY = 0.05  # without colours

# --- Camera: in this order, over the whole image -----------------------------------------------
SHADOW_PATCH_PROBABILITY = 0.1  # the shadow of something outside the picture
SHADOW_PATCHES = (1, 2)  # 0..100, how many
SHADOW_PATCH_INTENSITY = (0.25, 0.55)  # 0..1, of the light that is taken away
SHADOW_PATCH_WIDTH = (0.15, 0.7)  # of the side, of the band in shadow
SHADOW_PATCH_SOFTNESS = (0.05, 0.3)  # at least 0.01, of the side, of its edges
FLARE_PROBABILITY = 0.06  # glow of a light, and its rings
FLARE_STRENGTH = (40.0, 130.0)  # grey levels at its centre
FLARE_RADIUS = (0.1, 0.5)  # at least 0.01, of the side
COLOUR_PROBABILITY = 0.5  # one of the next
COLOUR_SHARES = {
    "contrast": 0.24,  # and brightness
    "gamma": 0.24,
    "temperature": 0.24,
    "cast": 0.14,
    "shuffle": 0.08,  # red, green and blue change places
    "negative": 0.06,
}
BRIGHTNESS, CONTRAST = (-0.3, 0.3), (-0.3, 0.3)  # of the full range; of the image's own contrast
GAMMA = (60, 130)  # percent; lower is lighter
COLOUR_TEMPERATURE = (3000, 15000)  # kelvin, of the light
COLOUR_CAST = (-20, 20)  # grey levels added to each of red, green and blue
GREY_PROBABILITY = 0.07  # an image without colours
VIGNETTE_PROBABILITY = 0.1  # darker towards the corners
VIGNETTE_STRENGTH = (0.15, 0.55)  # 0..1, of the light that the corners lose
BLUR_PROBABILITY = 0.3  # one of the next
BLUR_SHARES = {"gaussian": 0.3, "defocus": 0.2, "motion": 0.3, "sharpen": 0.2}  # of each
GAUSSIAN_BLUR = (0.4, 1.3)  # at least 0.01 px, standard deviation
DEFOCUS_RADIUS = (1.0, 2.0)  # px
MOTION_BLUR = (3, 5)  # 3..99 px, odd
SHARPEN = (0.2, 0.5)  # 0..1, weight of the sharpened image
NOISE_PROBABILITY = 0.3  # grain of the sensor
NOISE_STRENGTH = (2.0, 14.0)  # grey levels, standard deviation
GREY_NOISE_SHARE = 0.5  # of the noise that is equal in all three colours
COARSE_NOISE_SHARE = 0.3  # of the noise whose grains are two pixels large
DOWNSCALE_PROBABILITY = 0.15  # made smaller and large again
DOWNSCALE = (0.6, 0.9)  # 0.05..1, of the side
SMALL_CAMERA_PROBABILITY = 0.3  # few pixels, smoothed and sharpened, as of early smart glasses
SMALL_CAMERA_SCALE = (0.5, 0.9)  # 0.05..1, of the side
SMALL_CAMERA_SMOOTHING = (5.0, 50.0)  # grey levels, differences below it are smoothed away
SMALL_CAMERA_HALO = (0.8, 2.2)  # at least 0.01 px, deviation of the blur that is subtracted
SMALL_CAMERA_SHARPENING = (0.3, 1.5)  # times that blur's difference from the picture
JPEG_PROBABILITY = 0.25  # besides the file's own compression
JPEG_AGAIN = (35, 90)  # quality, 1..100
JPEG_QUALITY = 93  # of the written file, 1..100

# --- Training --------------------------------------------------------------------------------
PRETRAINED = "nvidia/segformer-b0-finetuned-ade-512-512"
LABEL_STRIDE = 2  # the loss compares maps at 1 / LABEL_STRIDE of the input's resolution
LEARNING_RATE = 6e-4  # the peak, from pretrained weights or the bundled ones
SCRATCH_RATE = 1.5e-3  # the peak, from random weights
MUON_CHANNELS = 16  # weights between at least so many channels are Muon's, the others AdamW's
MUON_MOMENTUM = 0.95  # share of the past steps' direction in a step of Muon
TEXT_SHARE = 0.85  # of the crops have a word in them; the others are taken as they come
FOCAL_GAMMA = 2.0  # how much the focal part of the loss looks at the worst pixels
FOCAL_WEIGHT = 1.0  # of the focal part of the loss against its Dice part
