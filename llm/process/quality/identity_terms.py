"""Words that say who somebody is: gender, orientation, origin, religion, disability, age.

The toxicity model is blind to them. Comments that name a group are toxic more often than others, so a model that reads
its name learns to call every mention of it toxic (Dixon et al. 2018, Measuring and Mitigating Unintended Bias in Text
Classification). Words of abuse for a group are not among them. Articles and the words that stand for somebody are
(a gay man, an immigrant, she), for they change with the term.
"""

GENDER = """
woman women man men girl girls boy boys lady ladies gentleman gentlemen guy guys male males female females feminine
masculine trans transgender transgendered transsexual transsexuals transwoman transwomen transman transmen nonbinary
binary cis cisgender intersex genderqueer genderfluid mother mothers father fathers wife wives husband husbands
daughter daughters son sons sister sisters brother brothers mom dad feminist feminists
"""
ORIENTATION = """
gay gays lesbian lesbians bi bisexual bisexuals queer queers homosexual homosexuals homosexuality heterosexual
heterosexuals straight asexual asexuals pansexual lgbt lgbtq lgbtqia lgbti
"""
ORIGIN = """
black blacks white whites brown colored coloured asian asians african africans american americans european europeans
caucasian caucasians latino latinos latina latinas latinx hispanic hispanics mexican mexicans indian indians chinese
japanese korean koreans vietnamese filipino filipinos thai indonesian indonesians pakistani pakistanis bangladeshi
bangladeshis afghan afghans iranian iranians persian persians iraqi iraqis syrian syrians turk turks turkish kurd kurds
kurdish arab arabs arabic arabian israeli israelis palestinian palestinians egyptian egyptians moroccan moroccans
algerian algerians nigerian nigerians somali somalis ethiopian ethiopians kenyan kenyans ghanaian ghanaians haitian
haitians jamaican jamaicans cuban cubans brazilian brazilians colombian colombians argentinian argentinians venezuelan
venezuelans puerto rican ricans salvadoran salvadorans guatemalan guatemalans english british irish scottish scots
welsh french german germans italian italians spanish spaniard spaniards portuguese greek greeks polish pole poles
romanian romanians bulgarian bulgarians hungarian hungarians czech czechs slovak slovaks serb serbs serbian serbians
croat croats croatian croatians albanian albanians bosnian bosnians ukrainian ukrainians russian russians dutch swedish
swede swedes norwegian norwegians danish dane danes finnish finn finns canadian canadians australian australians
aboriginal aborigines indigenous native natives maori inuit roma romani gypsy gypsies slavic slavs immigrant immigrants
migrant migrants emigrant emigrants refugee refugees asylum seeker seekers foreigner foreigners alien aliens expat
expats undocumented
"""
RELIGION = """
muslim muslims islam islamic moslem moslems sunni sunnis shia shiite shiites jew jews jewish judaism christian
christians christianity catholic catholics protestant protestants evangelical evangelicals orthodox baptist baptists
mormon mormons hindu hindus hinduism buddhist buddhists buddhism sikh sikhs sikhism taoist taoists pagan pagans atheist
atheists atheism agnostic agnostics
"""
DISABILITY = """
disabled disability disabilities handicapped deaf blind mute paralyzed paralysed paraplegic paraplegics quadriplegic
amputee amputees wheelchair autistic autism autist dyslexic epileptic epileptics schizophrenic schizophrenics bipolar
"""
AGE = """
old older elder elders elderly young younger youngest oldest aged senior seniors teen teens teenage teenager teenagers
millennial millennials middle kid kids child children adult adults
"""
SOMEBODY = """
person persons people peoples folk folks individual individuals human humans community communities he she him her his
hers himself herself a an
"""
TERMS = sorted(" ".join((GENDER, ORIENTATION, ORIGIN, RELIGION, DISABILITY, AGE, SOMEBODY)).split())
