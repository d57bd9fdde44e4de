"""Short comments in English and Simplified Chinese, written by a small grammar, so that their true labels are known.

A comment is a frame ("I used to love {b}, now it's {a}") filled with topics ("sourdough", "black holes"). The label
is the interest of `{a}`: what the writer cares about most, today. The other topic, `{b}`, is a distractor of another
interest, and the `trap` says why a reader who only counts words falls for it:

    plain      there is one topic only
    negation   {b} is named to be refused
    past       {b} is what the writer has left behind
    mixed      both are liked, {a} clearly more

In every split half of the trap frames name {b} first and half name {a} first: neither the words nor their order give
the label away. The sentence always does: no comment is ambiguous, so the best possible accuracy is 1.

What keeps the splits honest: each frame belongs to one split, and the second group of each list in `TOPICS` (30%) is
never seen in training or validation. The cues ("never", "used to", "mostly", "instead") return in every split, in
other sentences.
"""

import re

import numpy as np
import pandas as pd

from recsys_helpers.errors import CourseError

INTERESTS = ("programming", "history", "science", "art", "technology", "cooking", "travel", "sport")
TRAPS = ("plain", "negation", "past", "mixed")
TRAP_SHARES = (0.3, 0.7 / 3, 0.7 / 3, 0.7 / 3)
SPLIT_SIZES = {
    "en": {"train": 2000, "validation": 400, "test": 1200},
    "zh": {"train": 1600, "validation": 300, "test": 900},
}


def generate_comments(tastes: np.ndarray, seed: int) -> pd.DataFrame:
    """Write 3,600 English and 2,800 Chinese comments of known interest.

    Args:
        tastes: shape (users, 2 or more); column 0 is each user's main interest, column 1 the side interest, both as
            codes into `INTERESTS`.
        seed: the same seed and tastes give the same table; the texts depend on the seed alone.

    Returns:
        One row a comment: comment_id (1, 2, ...), user_id (row of `tastes` + 1, drawn among those who have the label as
        main or side interest), language ("en" or "zh"), text (unique), interest (the label, as often as every other in
        each language and split), trap and split.

    Raises:
        CourseError: an interest that no user has, so that nobody could write about it.
    """
    writers = [np.flatnonzero((tastes[:, :2] == code).any(axis=1)) + 1 for code in range(len(INTERESTS))]
    if missing := [name for name, users in zip(INTERESTS, writers, strict=True) if not len(users)]:
        raise CourseError(f"no user has the interest {missing[0]!r}: simulate more users.")
    word_rng, user_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    rows, seen = [], set()
    for language, sizes in SPLIT_SIZES.items():
        for split, size in sizes.items():
            for code in word_rng.permutation(np.arange(size) % len(INTERESTS)):
                trap = str(word_rng.choice(TRAPS, p=TRAP_SHARES))
                text = _new_comment(word_rng, seen, language, trap, split, INTERESTS[code])
                rows.append((int(user_rng.choice(writers[code])), language, text, INTERESTS[code], trap, split))
    comments = pd.DataFrame(rows, columns=["user_id", "language", "text", "interest", "trap", "split"])
    comments.insert(0, "comment_id", np.arange(1, len(comments) + 1))
    return comments


def pretraining_corpus(n: int, seed: int) -> list[str]:
    """Write n unlabelled comments, English and Chinese in turn, to pre-train a language model on.

    They come from frames of their own, so none repeats or nearly repeats a comment of any split, whatever the seeds.
    They speak of all topics, those of the test comments too: like the text that a large model has read, they show which
    words go together (a fifth of them name two topics of one interest), but never a label.
    """
    rng, seen = np.random.default_rng([seed, 2]), set()
    kinds = (*TRAPS, "pair")
    return [
        _new_comment(rng, seen, ("en", "zh")[i % 2], _pick(rng, kinds), "pretraining", _pick(rng, INTERESTS))
        for i in range(n)
    ]


def frames(language: str, trap: str, split: str) -> list[str]:
    """The frames of one split; "[now|today]" in a frame is a choice of words."""
    return [line.strip() for line in FRAMES[language, trap][split].strip().splitlines()]


def topics(language: str, interest: str, split: str) -> list[str]:
    """The topics that may be named in one split: training and validation never see the second group."""
    groups = TOPICS[language][interest]
    known = groups[:1] if split in ("train", "validation") else groups
    return [topic for group in known for topic in re.split("; |、", group)]


def _new_comment(rng: np.random.Generator, seen: set[str], *recipe: str) -> str:
    while (text := _comment(rng, *recipe)) in seen:
        pass
    seen.add(text)
    return text


def _comment(rng: np.random.Generator, language: str, trap: str, split: str, interest: str) -> str:
    label = _pick(rng, topics(language, interest, split))
    other = interest if trap == "pair" else _pick(rng, [name for name in INTERESTS if name != interest])
    distractor = _pick(rng, [topic for topic in topics(language, other, split) if topic != label])
    frame = _pick(rng, frames(language, trap, split))
    text = re.sub(r"\[(.+?)\]", lambda choice: _pick(rng, choice[1].split("|")), frame).format(a=label, b=distractor)
    if rng.random() < 0.3:
        text = _pick(rng, OPENERS[language]) + text
    text += _pick(rng, ENDINGS[language] if rng.random() < 0.8 else TAILS[language])
    return re.sub(r"(^|[.!?] )([a-z])", lambda start: start[0].upper(), text)


def _pick(rng: np.random.Generator, options: list[str] | tuple[str, ...]) -> str:
    return options[rng.integers(len(options))]


# The grammar -------------------------------------------------------------------------------------------------------

OPENERS = {
    "en": ("honestly, ", "to be fair, ", "truth be told, ", "for the record, ", "hi, ", "well, ", "as for me, "),
    "zh": ("说实话，", "坦白讲，", "老实说，", "讲真，", "不瞒你说，", "你好，", "说起来，", "怎么说呢，"),
}
ENDINGS = {"en": (".", ".", "!", ""), "zh": ("。", "。", "！", "")}
TAILS = {
    "en": (". Thanks!", ". That's just me.", ". Anyone else?", ". Simple as that.", ". Just saying."),
    "zh": ("，谢谢。", "，就是这样。", "，哈哈。", "，有同感的吗？", "，没办法。", "，个人看法。"),
}

# For each interest: topics for every split; topics for the test split (and pre-training) only.
TOPICS = {
    "en": {
        "programming": (
            "garbage collectors in Java; Rust borrow checking; Python decorators; recursive functions; compilers; "
            "unit tests; regular expressions; SQL joins; Git rebasing; memory management in C; functional "
            "programming; React hooks; code reviews; shell scripts; C++ templates; linked lists and trees; coding "
            "interview puzzles; REST API design; open-source pull requests; refactoring legacy code; Haskell type "
            "classes",
            "Kotlin coroutines; lambda calculus; race conditions in Go; CSS grid layouts; writing parsers; hash "
            "tables; stack traces; TypeScript generics; object-oriented design",
        ),
        "history": (
            "Roman aqueducts; the Silk Road; the French Revolution; Viking settlements; Ottoman sultans; medieval "
            "castles; the fall of Constantinople; Egyptian pharaohs; the Cold War; Victorian London; the Tang "
            "dynasty; the Black Death; Napoleon's campaigns; Aztec temples; the Hanseatic League; Mongol "
            "conquests; samurai clans; the Industrial Revolution; old parish archives; the suffragettes; Bronze "
            "Age kingdoms",
            "the Berlin Wall; Spartan warriors; the Ming treasure fleets; the Peloponnesian War; Tudor kings and "
            "queens; the Boston Tea Party; Phoenician merchants; the Maya civilisation; First World War trenches",
        ),
        "science": (
            "black holes; gene editing; plate tectonics; quantum entanglement; coral reef ecology; the periodic "
            "table; telescopes; dark matter; bird migration; volcano research; vaccines and immunity; the human "
            "genome; particle physics; deep-sea creatures; photosynthesis; dinosaur fossils; exoplanets; protein "
            "folding; brain imaging; fluid dynamics; neutron stars",
            "gravitational waves; bacteria under the microscope; the theory of relativity; chemical reactions; "
            "the evolution of whales; supernovae; stem cells; melting glaciers; the Higgs boson",
        ),
        "art": (
            "watercolour painting; Impressionist landscapes; charcoal portraits; pencil sketching; Renaissance "
            "frescoes; Baroque sculpture; Japanese woodblock prints; abstract canvases; gallery openings; life "
            "drawing; oil painting; Van Gogh's sunflowers; street murals; pottery glazes; Bauhaus posters; "
            "calligraphy; stained glass; Picasso's blue period; linocut printing; pastel still lifes; paper "
            "collages",
            "Monet's water lilies; marble statues; Frida Kahlo's self-portraits; ink wash painting; surrealist "
            "dreamscapes; graffiti; bronze casting; Rembrandt etchings; mosaics",
        ),
        "technology": (
            "foldable phones; smart home gadgets; electric cars; 3D printers; noise-cancelling headphones; "
            "drones; mechanical keyboards; virtual reality headsets; solid-state batteries; smart watches; 5G "
            "networks; robot vacuums; new laptops; graphics cards; self-driving cars; solar panels; e-readers; "
            "wireless chargers; satellite internet; home servers; OLED televisions",
            "Bluetooth speakers; gaming consoles; humanoid robots; tablet computers; USB-C docks; semiconductor "
            "chips; electric scooters; Wi-Fi routers; augmented reality glasses",
        ),
        "cooking": (
            "sourdough; Sichuan hotpot; homemade pasta; slow-cooked stews; French sauces; kimchi; cast-iron "
            "skillets; Thai curries; layer cakes; knife skills; risotto; dumplings; barbecue ribs; vegan "
            "desserts; Moroccan tagines; croissants; bone broth; roasted vegetables; chocolate soufflés; tacos; "
            "spice blends",
            "ramen; apple pie; paella; chicken soup; pickles and chutneys; stir-fries; pizza dough; caramel "
            "puddings; Indian flatbreads",
        ),
        "travel": (
            "night trains across Europe; backpacking in Peru; island hopping in Greece; weekends in Kyoto; road "
            "trips in Iceland; cheap flights; desert safaris; boutique hotels; the Trans-Siberian railway; beach "
            "towns in Portugal; city breaks; camper vans; hostels; mountain lodges in Nepal; packing light; visa "
            "tips; the souks of Marrakesh; fjord cruises; Bali beaches; airport lounges; winter in Lapland",
            "the Amalfi Coast; walking tours of Lisbon; jet lag remedies; national parks in Utah; ferry rides in "
            "Norway; homestays in Vietnam; layovers in Singapore; Patagonia; passport stamps",
        ),
        "sport": (
            "marathon training; Premier League football; tennis finals; rock climbing; the Tour de France; "
            "basketball play-offs; swimming drills; table tennis; judo; weightlifting; cricket matches; badminton "
            "doubles; rowing regattas; ski jumping; sprint intervals; boxing; volleyball; trail running; penalty "
            "shoot-outs; ice hockey; relay races",
            "the Champions League; karate; triathlons; gymnastics; surfing competitions; rugby scrums; figure "
            "skating; golf tournaments; fencing bouts",
        ),
    },
    "zh": {
        "programming": (
            "Java垃圾回收、Rust所有权、Python装饰器、递归函数、编译器、单元测试、正则表达式、"
            "SQL查询、Git分支管理、内存管理、函数式编程、前端框架、代码评审、Shell脚本、C++模板、"
            "链表和二叉树、动态规划、接口设计、开源项目源码、重构老代码、并发编程",
            "Kotlin协程、哈希表、Go语言、爬虫代码、多线程调试、设计模式、力扣算法题、语法解析器、TypeScript类型系统",
        ),
        "history": (
            "丝绸之路、明清宫廷、三国人物、盛唐长安、罗马帝国、法国大革命、甲骨文、秦始皇兵马俑、安史之乱、"
            "维京海盗、北宋市井、甲午战争、蒙古西征、冷战往事、古埃及法老、大航海时代、春秋战国、拿破仑、"
            "科举制度、抗战史、玄武门之变",
            "郑和下西洋、楚汉相争、柏林墙、洋务运动、斯巴达勇士、王安石变法、汉武帝、玛雅文明、武则天",
        ),
        "science": (
            "黑洞、基因编辑、板块构造、量子纠缠、珊瑚礁生态、元素周期表、天文望远镜、暗物质、候鸟迁徙、"
            "火山研究、疫苗原理、人类基因组、粒子物理、深海生物、光合作用、恐龙化石、系外行星、蛋白质折叠、"
            "脑科学、流体力学、中子星",
            "引力波、相对论、干细胞、化学反应、超新星、微生物、冰川消融、物种演化、热力学",
        ),
        "art": (
            "水彩画、印象派、素描、文艺复兴壁画、巴洛克雕塑、浮世绘、抽象画、美术馆的展览、人物速写、油画、"
            "梵高的向日葵、街头涂鸦、陶艺、海报设计、书法、彩绘玻璃、毕加索、版画、静物写生、拼贴画、工笔花鸟",
            "莫奈的睡莲、大理石雕像、水墨山水、超现实主义画作、篆刻、青铜雕塑、伦勃朗、马赛克镶嵌画、剪纸",
        ),
        "technology": (
            "折叠屏手机、智能家居、电动汽车、3D打印机、降噪耳机、无人机、机械键盘、VR头显、固态电池、"
            "智能手表、5G网络、扫地机器人、笔记本电脑、显卡、自动驾驶、太阳能板、电子书阅读器、无线充电、"
            "卫星互联网、家用服务器、OLED电视",
            "蓝牙音箱、游戏主机、人形机器人、平板电脑、芯片制程、路由器、AR眼镜、扩展坞、数码相机",
        ),
        "cooking": (
            "天然酵母面包、四川火锅、手擀面、红烧肉、法式酱汁、泡菜、铸铁锅炖菜、泰式咖喱、戚风蛋糕、刀工、"
            "意大利烩饭、手工水饺、烤羊排、糖醋排骨、广式煲汤、牛角包、高汤、家常小炒、麻婆豆腐、卤味、"
            "香料搭配",
            "日式拉面、苹果派、葱油饼、清蒸鱼、披萨面团、焦糖布丁、腌笃鲜、粽子、宫保鸡丁",
        ),
        "travel": (
            "欧洲夜火车、西藏自驾、希腊跳岛游、京都赏樱、冰岛环岛、特价机票、沙漠露营、精品酒店、西伯利亚铁路、"
            "海边民宿、城市漫游、房车旅居、青年旅舍、尼泊尔之行、行李收纳、签证攻略、摩洛哥集市、挪威峡湾、"
            "巴厘岛、云南古镇、极光之旅",
            "新疆自由行、里斯本老街、时差攻略、国家公园、越南小城、环球航线、川西秘境、邮轮度假、海岛假期",
        ),
        "sport": (
            "马拉松训练、英超联赛、网球决赛、攀岩、环法自行车赛、NBA季后赛、自由泳、乒乓球、柔道、举重、"
            "羽毛球双打、赛艇、跳台滑雪、街头篮球、拳击、女排比赛、越野跑、点球大战、冰球、短跑、力量训练",
            "欧冠、空手道、铁人三项、体操、冲浪比赛、花样滑冰、击剑、橄榄球、高尔夫球赛",
        ),
    },
}

# The frames of each language, trap and split. In the traps the first half names {b} first, the second half {a}.
FRAMES = {
    ("en", "plain"): {
        "train": """
            I could read about {a} all [day|night|weekend]
            [last night|yesterday] I stayed up far too late with another [book|article|video] about {a}
            please send me more [stories|posts|pieces] about {a}, they make my [day|week]
            my [bookshelf|playlist|reading list] is full of {a}
            I [really|truly] can't get enough of {a}
            I never get tired of {a}, not even [after a long day|on a Monday]
            everything I [save|bookmark] here has something to do with {a}
            {a} again, please, and make it [long|detailed]
            I just spent [two hours|the whole evening] on a [thread|podcast] about {a} and loved it
            my friends know me as the one who [always|constantly] brings up {a}
            if there is a new [piece|clip|episode] on {a}, I have [probably|already] seen it
            what keeps me coming back to this site is {a}
            I am [completely|totally] hooked on {a} [these days|right now|at the moment]
            nothing makes me happier than a quiet [morning|evening] with {a}
        """,
        "validation": """
            somebody recommended a [series|channel] on {a} and I [finished|watched] it in one go
            no day goes by without something on {a}
            more on {a} would be great, I look for that every week
            I signed up here because of {a} [and have no regrets|and I stayed]
        """,
        "test": """
            I'd [happily|gladly] lose a night's sleep over one more [chapter|documentary] on {a}
            my notes app is [basically|more or less] a diary of {a}
            the one thing I look forward to after work is {a}
            can we have a [whole|special] section just for {a}
            I keep telling everyone at the office about {a}
            anything that touches on {a} gets a click from me
            your [feature|piece] on {a} was the best thing I read [this month|this week]
            I [subscribed|came here] for {a} and I am not disappointed
            there is never too much about {a} in my feed
            [Sunday|Saturday] mornings are for {a}, and nobody may disturb me
        """,
        "pretraining": """
            one more evening with {a} and I will be [happy|content]
            I found a [good|lovely] [podcast|newsletter] about {a} and shared it with my [sister|brother|neighbour]
            do you have anything [new|longer|deeper] on {a}
            it is [always|usually] {a} that I talk about with my [friends|colleagues]
            I have been reading about {a} since [January|last summer|I was young]
            every [morning|evening|weekend] I make some time for {a}
            I would not want to miss a single [post|story|video] about {a}
            thank you for the [article|interview|series] on {a}, I [loved|enjoyed] it
            I never knew that {a} could be this [exciting|interesting|beautiful]
            show me {a}, show me more of it, I am [not picky|in the mood]
            a friend asked what I do on [Sundays|rainy days], and the answer was {a}
            whatever the weather, a bit of {a} lifts my mood
            I wrote down [ten|five] questions about {a} and would love some answers
            there must be more people out there who enjoy {a} as much as I do
            could somebody explain {a} to me in [simple words|a few minutes]
            half of the tabs in my browser are about {a}
        """,
    },
    ("en", "negation"): {
        "train": """
            I never open anything about {b}, but give me [everything|whatever you have] on {a}
            not {b}, please: what I [want|like] is {a}
            I don't care [much|at all] for {b}, but I [love|adore] {a}
            {b} never did anything for me, {a} always did
            nothing on {b} in my feed, thanks, I come here for {a}
            I can't stand {b}, so please show me {a} instead
            it isn't {b} that keeps me up at night, it's {a}
            give me {a} any day, just not {b}
            I [love|enjoy] {a}, but I [never|don't ever] click on {b}
            I always end up reading about {a}, never about {b}
            I'm here for {a}, not for {b}
            please recommend {a} and stop sending me {b}, I have no interest in that
            it's {a} that I [enjoy|follow], I don't [understand|get] the fuss about {b}
            I'd take {a} without thinking twice, but nobody will ever get me into {b}
        """,
        "validation": """
            I have no patience for {b}, while {a} can keep me busy for hours
            I don't want to hear about {b}, tell me about {a} instead
            anything on {a} is welcome, but never {b} please
            {a}, yes please, {b}, no thanks
        """,
        "test": """
            please keep {b} away from me, I only [want|like] {a}
            I never finish a [book|video] on {b}, yet I can't put down one about {a}
            people keep sending me {b}, which I don't like at all, when all I want is {a}
            no, I'm not into {b}, I'm into {a}
            there is no way I would [read|watch] something on {b}, but for {a} I'll [always|gladly] make time
            I'll [read|watch] whatever you have on {a}, but don't bother me with {b}
            I [really|do] like {a}, I just don't see the point of {b}
            {a} for me, never {b}
            you can win me over with {a}, but not with {b}
            my heart beats for {a} and has never warmed to {b}
        """,
        "pretraining": """
            I don't [like|follow] {b}, I [like|follow] {a}
            I was never interested in {b}, only in {a}
            not a fan of {b}, [big|huge] fan of {a}
            I skip {b} every time, because I only have time for {a}
            I wouldn't miss {b}, but I'd be [sad|lost] without {a}
            please stop recommending {b}, what I came for is {a}
            {b} won't get a minute of my time, but {a} may have all of it
            I [like|follow] {a}, I don't [like|follow] {b}
            [show|bring] me {a} and hide {b}, I never read [that|about that]
            I'd rather have {a}, and nothing on {b} at all
            I can talk about {a} for hours, but I have nothing to say about {b}
            more about {a} please, but nothing on {b}, I don't [need|enjoy] that
            I could never be without {a}, but I could do without {b}
            only {a} can make me click, {b} can't
        """,
    },
    ("en", "past"): {
        "train": """
            I used to spend every weekend on {b}, but [these days|nowadays] all my evenings go to {a}
            once upon a time I was [mad|crazy] about {b}, now I only follow {a}
            in my [school days|twenties] it was all {b}, today it's all {a}
            I gave up {b} [last year|a while ago] and took up {a}
            after years of {b} I have [finally|completely] switched to {a}
            I no longer look at {b} because I've moved on to {a}
            I've grown out of {b} and into {a}
            these days I live for {a}, although I used to love {b}
            lately it's all about {a}, my years of {b} are over
            I've moved on to {a} and left {b} behind
            I [now|currently] follow {a}, and no longer {b}
            today I'd choose {a}, ten years ago I would have said {b}
            I took up {a} when I gave up {b}
            I've discovered {a} [recently|this year], so the old days of {b} are gone
        """,
        "validation": """
            I was once obsessed with {b}, but now my [obsession|passion] is {a}
            I've dropped {b} for good, [these days|nowadays] you'll find me with {a}
            now that I have found {a}, I no longer miss {b}
            it's {a} [now|these days], it used to be {b}
        """,
        "test": """
            as a [kid|teenager] I used to dream of {b}, now I dream of {a}
            books on {b} used to fill my shelves, but lately I only buy ones on {a}
            I stopped following {b} [in spring|last winter], and since then it's been {a}
            my days of {b} are over, I've found {a}
            two years ago you'd have caught me with {b}, today you'll catch me with {a}
            nowadays I wake up thinking of {a}, it used to be {b}
            I'm [all about|really into] {a} now that I've given up {b}
            I've turned to {a} after too many years of {b}
            currently it's {a} for me, I lost interest in {b} [long ago|a while back]
            I ended up with {a}, though I was once crazy about {b}
        """,
        "pretraining": """
            last year I read about {b}, this year I read about {a}
            I used to [like|follow] {b}, now I [like|follow] {a}
            I was into {b} for a [while|long time], but now I prefer {a}
            before, it was {b} [all day|every evening], now it is {a}
            I left {b} behind and started with {a}
            gone are the days of {b}, my new love is {a}
            I used to collect everything on {b}, but not since I discovered {a}
            now I [like|follow] {a}, I used to [like|follow] {b}
            I started with {a} [this year|in May] and stopped caring about {b}
            today my [mind|head] is full of {a}, no longer of {b}
            [these days|lately] I prefer {a} to what I liked before, {b}
            I'm new to {a}, in the past I followed {b}
            since I discovered {a}, I have forgotten about {b}
            nowadays you can only reach me with {a}, back then it was {b}
        """,
    },
    ("en", "mixed"): {
        "train": """
            a [bit|touch] of {b} on the side, but [mostly|mainly] {a}
            I read a little about {b} and a lot about {a}
            now and then I look at {b}, though nearly all my time goes to {a}
            I enjoy {b} once in a while, but {a} every single day
            apart from the odd [article|video] on {b}, it's all {a} for me
            I like {b}, but I love {a} far more
            ten minutes of {b}, then [two|three] hours of {a}: that's my usual evening
            mostly {a}, with a [bit|touch] of {b}
            my [main|big] passion is {a}, and [sometimes|occasionally] I look into {b}
            {a} nearly every day, {b} [perhaps|maybe] once a month
            I spend [most|almost all] of my [evenings|weekends] on {a} and a few minutes on {b}
            {a} first and foremost, {b} only when I'm bored
            [nine|eight] out of ten things I read are about {a}, the rest about {b}
            I'm here above all for {a}, though I don't mind a bit of {b}
        """,
        "validation": """
            I don't mind {b} from time to time, but my real passion is {a}
            something on {b}, sure, but far more on {a}
            chiefly {a}, and a small dose of {b}
            I follow {a} every day and {b} only occasionally
        """,
        "test": """
            a few minutes of {b} are nice, but I spend most of my day with {a}
            I peek at {b} sometimes, yet it's {a} that I read about all the time
            [one|a single] book on {b}, [twenty|a dozen] on {a}: that's my shelf
            I have a small weakness for {b}, but the big love is {a}
            if there's any time left I look at {b}, but {a} must always come first
            I [mainly|mostly] come for {a} and for the odd piece on {b}
            my feed should be ninety percent {a} and ten percent {b}
            I could do with {a} every day of the week, {b} once in a while
            almost everything I watch is about {a}, with a bit on {b} in between
            I love {a} more than anything, {b} a tiny bit too
        """,
        "pretraining": """
            I like {b} a little and {a} [a lot|very much]
            sometimes {b}, but [mostly|usually] {a}
            a short [clip|note] on {b} is fine, but I want long [ones|stories] on {a}
            once a month I try {b}, the other days belong to {a}
            besides a bit of {b} it is {a} all the time
            {b} now and again, {a} from morning to night
            I spend an hour a month on {b} and an hour a day on {a}
            I like {a} [a lot|very much] and {b} a little
            [mainly|mostly] {a}, sometimes {b}
            {a} most of the time, {b} for a change
            I read about {a} daily and about {b} on [rare|some] occasions
            my favourite is {a}, and in second place, far behind, {b}
            nearly all my time belongs to {a}, only a little of it to {b}
            I come for {a} above everything else, {b} I only skim
        """,
    },
    ("en", "pair"): {
        "pretraining": """
            {a} and {b}, that's what I [like|love]
            I like both {a} and {b}
            first {a}, then {b}, [a perfect day|what a day]
            a [book|video] on {a} and another one on {b}
            if you like {a}, you will like {b} too
            from {a} I came to {b}, [step by step|of course]
            I talked about {a} and {b} with a friend
            tell me about {a}, {b} and the like
            {a}, {b}, I want it all
            {a} today, {b} tomorrow
        """,
    },
    ("zh", "plain"): {
        "train": """
            关于{a}的内容，我[看多少都不嫌多|怎么看都看不够]
            [昨晚|前天]又看{a}看到[半夜|凌晨]，根本停不下来
            麻烦多推一些{a}，[最好是长文|越详细越好]
            我的收藏夹里[全是|几乎都是]{a}
            我对{a}[完全没有|没有半点]抵抗力
            一聊到{a}我就[来劲|停不下来]
            [最近|这阵子]彻底迷上了{a}
            身边的朋友都知道我[痴迷|沉迷]{a}
            [下班|放学]之后，我最期待的就是{a}
            只要标题里有{a}，我[肯定|一定]会点进去
            {a}从来不会让我觉得[无聊|腻]
            没有什么比{a}更能让我[开心|放松]的了
            刚[听完|看完]一期讲{a}的节目，[太过瘾了|意犹未尽]
            这个平台最吸引我的就是{a}
        """,
        "validation": """
            每天不[看|聊]一会儿{a}就浑身难受
            朋友推荐了一个讲{a}的账号，我[一口气|两天就]全看完了
            当初注册就是冲着{a}来的，[至今没后悔|果然没来错]
            求多更新{a}，我每周都在等
        """,
        "test": """
            为了{a}，[少睡几个小时|熬个夜]也值得
            能不能给{a}单独开一个[专区|栏目]
            我的[备忘录|笔记本]里记的都是{a}
            首页再多的{a}我也不嫌烦
            周末[泡一壶茶|找个安静的角落]，慢慢琢磨{a}，[很惬意|真舒服]
            上次那篇写{a}的文章真是[太棒了|绝了]
            逢人就想聊聊{a}，[家里人都听烦了|同事都怕我了]
            凡是和{a}沾边的我都[想看|不放过]
            我就是为了{a}才天天打开这个软件的
            {a}这个话题，我永远聊不腻
        """,
        "pretraining": """
            我[很|特别|非常]喜欢{a}，[每天都看|天天都聊]
            [周末|晚上|早上]有空的时候，我就[看看|研究]{a}
            有没有[新的|更深入的|更长的]{a}内容
            从[去年|小时候|上学那会儿]起，我就对{a}感兴趣
            关注{a}的朋友可以[一起聊聊|加个好友]
            这期{a}做得[真好|不错]，[谢谢|辛苦了]
            不想错过任何一篇讲{a}的[文章|帖子]
            和[朋友|同事|邻居]聊天，三句话不离{a}
            给我推{a}就对了，我[不挑|都看]
            没想到{a}这么[有意思|精彩|好玩]
            昨天[凌晨|晚上]还在翻{a}的[旧帖|新帖]，心里特别满足
            请问谁懂{a}，求[推荐|带路]，几个账号就够
            让我安静地看会儿{a}，什么烦心事都忘了
            [知道|听说]这里有{a}专区，我[马上|立刻]注册了一个号
            从头到尾把{a}的[节目|专栏]听了两遍，还觉得不够
            终于等到{a}更新，值了
            每次翻到{a}这一页，心情都会变好
            在我这里，{a}的位置永远是独一份
            买了[九本|六本|八本]讲{a}的书，慢慢读，不着急
            回家先倒杯茶，再点开软件看{a}，[舒服|惬意]
            这阵子身边的人都在追{a}，我也[彻底|完全]陷进去了
            刚加完班，看点{a}放松一下，[烦恼全没了|身心舒畅]
            我的{a}笔记写了[一百|几百]条，还在[不断|慢慢]补
            初次接触{a}时觉得难，后来肯花时间去琢磨，越看越上瘾
            {a}的标题再长我也点进去，绝不嫌[啰嗦|烦]
            有些讲{a}的文章写得很详细，[真棒|太棒了]
            找到一个讲{a}的录播，期待下一场，[生怕|怕]错过
            收藏夹里存着{a}，心里就[踏实|有底]
        """,
    },
    ("zh", "negation"): {
        "train": """
            {b}我从来不看，{a}倒是来者不拒
            别再给我推{b}了，我想看的是{a}
            我对{b}[没什么兴趣|不感兴趣]，[就爱|只喜欢]{a}
            {b}就算了吧，多来点{a}
            不是{b}，让我[熬夜|上头]的是{a}
            受不了{b}，还是{a}[有意思|合我心意]
            {b}什么的我一点也不喜欢，我喜欢{a}
            {a}来多少我看多少，{b}就不必了
            只想看{a}，不想看{b}
            我喜欢的是{a}，不是{b}
            请多推{a}，[别推|不要推]{b}
            {a}[百看不厌|怎么看都不腻]，{b}[一眼都不想看|从来不点]
            说到{a}我就来劲，{b}可提不起我的兴趣
            我是冲着{a}来的，对{b}没有感觉
        """,
        "validation": """
            {b}实在看不进去，换成{a}我能看一整天
            谁爱看{b}谁看，反正我不看，我只看{a}
            {a}可以有，{b}就免了
            喜欢{a}，不喜欢{b}，就这么简单
        """,
        "test": """
            拜托把{b}从我的首页拿走，我不感兴趣，换成{a}吧
            朋友老拉我聊{b}，可我一点都不喜欢，我喜欢的是{a}
            讲{b}的文章我从来没看完过，讲{a}的却能一口气读完
            我不懂{b}有什么好看的，{a}才[有意思|带劲]
            {b}请别来烦我，我要的是{a}
            我只对{a}感兴趣，{b}从来不点
            {a}才是我的心头好，{b}真的不是
            有{a}就够了，{b}不用给我推
            我愿意为{a}花时间，{b}可不行
            看到{a}必点进去，看到{b}就划走，没兴趣
        """,
        "pretraining": """
            不喜欢{b}，喜欢{a}
            我不看{b}，我[看|只看]{a}
            对{b}没兴趣，对{a}[很|特别]有兴趣
            {b}太[无聊|没意思]了，不如来点{a}
            没有{b}我无所谓，没有{a}[可不行|我受不了]
            请把{b}从推荐里拿掉，我[真正|其实]想要的是{a}
            说实在的，{b}怎么看都提不起劲，还是{a}吸引人
            谁推荐{b}我都不点，但{a}必须点
            碰到{b}我绝不点，它不是我要找的，{a}才是
            喜欢{a}，[从来|一直]不喜欢{b}
            给我看{a}，不要给我看{b}
            {a}很有意思，{b}没意思
            我宁愿[看|聊]{a}，也不想[看|聊]{b}
            聊{a}我能聊一天，聊{b}我没话说
            认准{a}就行了，{b}别往我这里塞
            遇到{a}我会停下来慢慢看，遇到{b}就直接[走人|跳过]
            {a}让我着迷，{b}却让我[犯困|头疼]
            看{a}简直上瘾，看{b}根本看不下去，拜托别推了吧
        """,
    },
    ("zh", "past"): {
        "train": """
            以前[天天|一有空就]琢磨{b}，现在[心思|时间]全在{a}上
            曾经迷{b}迷得不行，如今只关注{a}
            [上学|年轻]的时候喜欢{b}，现在[改成|换成]{a}了
            {b}已经放下了，[最近|现在]一心扑在{a}上
            我早就不碰{b}了，这两年都在研究{a}
            告别了{b}，转投{a}的怀抱
            过去满脑子都是{b}，眼下满脑子都是{a}
            现在每天都看{a}，不像以前老看{b}
            [最近|这阵子]迷上了{a}，{b}早就不看了
            我现在喜欢{a}，{b}是以前的事了
            如今我的时间都给了{a}，而不是当年的{b}
            自从爱上{a}，就再也没碰过{b}
            眼下最让我上心的是{a}，几年前还是{b}
            已经转到{a}这边来了，曾经的{b}就让它过去吧
        """,
        "validation": """
            十年前我会选{b}，现在我选{a}
            追了好几年{b}，终于还是换成了{a}
            现在一心想着{a}，曾经是{b}
            这两年只看{a}，{b}已经放下了
        """,
        "test": """
            小时候最爱{b}，现在最爱的变成了{a}
            去年还天天聊{b}，今年只聊{a}了
            对{b}的热情早就过去了，如今[打动我|吸引我]的是{a}
            书架上讲{b}的书已经落灰了，最近买的全是讲{a}的
            不知不觉已经不看{b}了，现在每天打开的都是{a}
            现在的我只认{a}，以前可是{b}的[铁粉|忠实粉丝]
            我最近全身心投入{a}，沉迷{b}的日子已经结束了
            终于找到了{a}，再也不想回到{b}了
            眼下我只关注{a}，当年却迷{b}迷得不行
            今年的心思都在{a}上，{b}已经是过去式了
        """,
        "pretraining": """
            以前[喜欢|关注]{b}，现在[喜欢|关注]{a}
            过去看{b}，如今看{a}
            曾经[沉迷|热衷]{b}，[后来|现在]改看{a}了
            {b}我已经不看了，现在看{a}
            [前年|去年]是{b}，今年是{a}
            当年为了{b}熬过夜，如今熬夜只为{a}
            几个月前还抱着{b}不放，转眼已经成了{a}的粉丝
            十几岁的时候心里只有{b}，现在心里装的是{a}
            当初追{b}的那股劲头没了，如今对{a}越来越投入
            现在[喜欢|关注]{a}，以前[喜欢|关注]{b}
            最近开始看{a}，不再看{b}了
            如今的爱好是{a}，从前的爱好是{b}
            今年我只聊{a}，早就不聊{b}了
            自从开始关注{a}，{b}就被我[放下|忘]了
            眼下整个人都投到{a}里，{b}早成了[过去|回忆]
            我终于认定了{a}，至于{b}，已经结束了
            最近才懂得{a}的好，不再留恋{b}
            现在对{a}正在兴头上，而{b}的那阵子已经过去
        """,
    },
    ("zh", "mixed"): {
        "train": """
            偶尔看看{b}，大部分时间还是{a}
            {b}也[看一点|了解一点]，但主要还是{a}
            {b}只是调剂，{a}才是真爱
            喜欢{b}，但更喜欢{a}
            除了偶尔翻翻{b}，其余时间全是{a}
            十分钟{b}，两小时{a}，这就是我的晚上
            {b}一个月[看|碰]一次，{a}天天都[看|碰]
            主要看{a}，偶尔也看看{b}
            最爱{a}，其次才是{b}
            大部分时间都给了{a}，{b}只占一小部分
            {a}几乎天天看，{b}只是换换脑子
            十条里有[八条|九条]是{a}，剩下的是{b}
            我的重心是{a}，{b}只是[顺带|捎带]看看
            首先是{a}，有空的话再来点{b}
        """,
        "validation": """
            {b}来一点就够了，{a}要多一些
            有时候看{b}，但最常看的是{a}
            以{a}为主，{b}为辅
            每天都看{a}，{b}偶尔看
        """,
        "test": """
            虽然也会点开{b}，可我花时间最多的是{a}
            对{b}有一点点兴趣，对{a}是真爱
            闲下来才看两眼{b}，平时都泡在{a}里
            书架上一本讲{b}，二十本讲{a}，[懂的都懂|一目了然]
            {b}当个消遣就好，我主要还是看{a}
            我的首页九成是{a}，一成是{b}就好
            最喜欢的还是{a}，{b}偶尔来一点也不错
            几乎所有空闲都花在{a}上，只留一点点给{b}
            {a}永远排第一，{b}排在后面
            一周有六天在看{a}，只有一天看{b}
        """,
        "pretraining": """
            有点喜欢{b}，[非常|特别]喜欢{a}
            {b}偶尔看看，{a}经常看
            {b}看得少，{a}看得多
            短的{b}看看就好，长的{a}我才细看
            {b}排第二，{a}排第一
            闲的时候翻两页{b}，其余的时间都留给{a}
            {b}虽然也不错，可是我最在乎的始终是{a}
            一星期看一两次{b}，看六七次{a}
            除了一小部分{b}，剩下的时间全给了{a}
            [非常|特别]喜欢{a}，有点喜欢{b}
            经常看{a}，偶尔看{b}
            {a}看得多，{b}看得少
            平时主要是{a}，换换脑子的时候看{b}
            我最喜欢{a}，也有一点喜欢{b}
            {a}占了我九成时间，{b}顺便看几眼
            首选{a}，等有空了再带上{b}
            把{a}当正事，把{b}当消遣
            我是{a}的忠实读者，{b}只能算[顺手|随手]看看
        """,
    },
    ("zh", "pair"): {
        "pretraining": """
            我喜欢{a}，也喜欢{b}
            {a}和{b}我都爱看
            先看{a}，再看{b}
            今天{a}，明天{b}
            喜欢{a}的人多半也喜欢{b}
            一本讲{a}的书，一本讲{b}的书
            从{a}聊到{b}，聊了一晚上
            {a}、{b}，我全都要
            说完{a}，又说起{b}
            像{a}、{b}这样的内容多来点
        """,
    },
}
