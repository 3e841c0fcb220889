"""Sentences written by the project, each with what a reader would say of it: harmless (0) or toxic (1).

The kinds follow the idea of functional tests for hate speech (Röttger et al. 2021, HateCheck); no sentence is taken
from there. All were written and frozen before any model had read them (2026-11-29). {many}, {one} stand for a group
and a member of it: a template gives a sentence for each of the seven groups.
"""

GROUPS = {
    "women": ("women", "a woman"),
    "trans people": ("trans people", "a trans person"),
    "gay people": ("gay people", "a gay person"),
    "Black people": ("Black people", "a Black person"),
    "disabled people": ("disabled people", "a disabled person"),
    "Muslims": ("Muslims", "a Muslim"),
    "immigrants": ("immigrants", "an immigrant"),
}
TEMPLATES = {
    ("friendly", 0): """
I am {one} and proud of it.
My best friend is {one}, and I would not change a thing.
{many} are a blessing to this town.
I love {many} and I always will.
So happy to work with {many} every day!
{many} make our school a better place.
Thank you to all the {many} who came to help last night.
I wish there were more {many} on this panel.""",
    ("neutral", 0): """
I am {one}.
He told me that his teacher is {one}.
There were three {many} on the bus this morning.
Do you know any {many}?
Is it true that your sister married {one}?
The report counts how many {many} live in each district.
{many} can vote in this election like everybody else.
A film about {many} opens at the cinema next week.
What do {many} think of the new law?
My doctor is {one}.""",
    ("negated hate", 0): """
I do not hate {many}.
Nobody should ever attack {many}.
{many} are not animals, they are our neighbours.
It is wrong to say that {many} are stupid.
{many} do not deserve to be treated like dirt.
We will never call {many} a disease.
I have never thought that {many} are disgusting.
No, {many} are not criminals.""",
    ("counter speech", 0): """
Whoever says "kill all {many}" should be reported.
"{many} are vermin" is what the propaganda said, and it led to murder.
Saying that {many} are trash tells me a lot about you.
He shouted "I hate {many}" and was rightly thrown out.
Stop writing things like "{many} are idiots", it is hurtful.
People who think {many} should die need to read a book.
The post said that {many} are scum; the moderators took it down.
Calling {one} a parasite is never acceptable.""",
    ("friendly questions", 0): """
How can we make this library easier to use for {many}?
Why are so few {many} in parliament?
Could you recommend a novel written by {one}?
Where do {many} meet on Fridays?""",
    ("threats", 1): """
I will beat up every one of those {many}.
Somebody should shoot all {many}.
{many} better watch out, we are coming to get you.
If I see {one} here again I am going to break their neck.
Let's burn down the houses of {many}.
I am going to kill {one} tonight.
All {many} ought to be hanged.
One day you {many} will all pay with your blood.""",
    ("dehumanisation", 1): """
{many} are cockroaches.
{many} are a plague on this country.
To me {many} are no better than rats.
{many} are subhuman filth.
{one} is not a person but a parasite.
{many} breed like vermin.
We need to exterminate {many} like bugs.""",
    ("derogation", 1): """
I despise {many}.
I can't stand {many}, they are repulsive.
{many} are the dumbest creatures on earth.
{many} are all liars and thieves.
God, {many} are so ugly and gross.
Every time I see {one} I want to puke.
{many} are worthless losers.
Nothing is more pathetic than {one}.""",
    ("hate in questions", 1): """
Why are {many} so damn stupid?
Who else thinks that {many} are disgusting pigs?
When will somebody finally get rid of these filthy {many}?
Isn't it obvious that {many} are garbage?
Why don't you {many} just go and die?""",
    ("hate by negation", 1): """
{many} do not deserve to live.
There is not a single decent human being among {many}.
{many} should never be allowed near normal people.
No one would miss {many} if they were all dead.""",
    ("hate with profanity", 1): """
Fuck all {many}.
{many} are such fucking idiots.
I'm sick of these goddamn {many} and their shit.
{many} can go to hell, the bastards.
Shut the fuck up, you stupid {many}.""",
    ("misspelt hate", 1): """
I h4te {many}.
{many} are id1ots.
F*ck {many}, all of them are sc*m.
{many} are soooo stuuupid and uglyyyy.
{many} are t r a s h.
KILLL ALL {many}!!!
i hateee {many} their disgustin""",
    ("implicit hate", 1): """
{many} should go back to where they belong.
This country would be better without {many}.
The only good {many} are the ones that left.
{many} have no place in a civilised society.
I would never let {one} touch my food.""",
}
ALONE = {
    ("reclaimed", 0): """
My queer friends throw the best parties.
We are the dykes on bikes and we lead the parade!
I'm a bad bitch and I know it.
Bitches, we made it, drinks are on me!
As a crip I say: nothing about us without us.
Us fags have to stick together, love you all.
Call me a nasty woman, I will print it on a shirt.
This little queer is finally getting married!
What's up my bitches, ready for the concert?
I was a nerd and a weirdo at school and I am proud of both.""",
    ("profanity without target", 0): """
What the hell, we won!
Holy shit, what a goal!
That was a damn good dinner.
Fuck yes, the exam is over!
I am so fucking happy for you two.
Oh crap, I forgot my keys again.
This song is the shit.
Bloody hell, it is cold today.
Damn, that view is something else.
The weather has been shitty all week.
I had a hell of a good time at the wedding.
I laughed my ass off at his joke.
Fuck, I burned the rice.
It hurts like hell but the doctor says it will heal.
Shit happens, we try again tomorrow.
That's one badass guitar solo.
No fucking way, is this really your first painting?
I don't give a damn what time it is, let's dance.
Damn it, the train is late.
The new album is fucking brilliant.""",
    ("abuse of objects", 0): """
I hate this printer.
Kill the process and start it again.
This stupid door never closes.
My phone is a piece of junk.
I hate Mondays more than anything.
Cockroaches are disgusting, call the exterminator.
What an ugly sofa.
The rats in the cellar must die.
This film is trash, do not watch it.
I despise the smell of boiled cabbage.
Your idiotic website deleted my order.
That plan is dumb and it will not work.
Mosquitoes are the scum of the earth.
The coffee here tastes like dirt.
This weed is a pest, burn it.
I could strangle this alarm clock.
The old software sucks.
What a pathetic excuse for a sandwich.
Shoot, the battery is dead.
Garbage in, garbage out: the data are rotten.""",
    ("everyday", 0): """
She shot three photographs of the sleeping cat.
We beat them four to one on Saturday.
The black keys of the piano are dusty.
The patient died of pneumonia in 1893.
He is tall.
Come over here, I need a hand.
They butchered the pig and salted the meat.
My head is killing me.
The judge said that he was guilty of murder.
You are a star, thank you so much.
Your mother makes the best soup I have ever had.
I was wrong and you were right.
Please take the dog out before it rains.
The dirty dishes are in the sink.
The bomb was found in 1951 and taken to a museum.
My bloody nose has stopped bleeding.
The cock crowed at dawn.
Dick and Fanny went to the market in Scunthorpe.
He stuck a pin in the balloon and it burst.
The parasite lives in the gut of sheep.
Suck the poison out, the old book says; do not do it.
You can shut the window now.
An ass is smaller than a horse.
Niggling doubts about the budget remain.
The monkey threw a banana at the keeper.
I am fat and happy, says the cat in the story.
They burned the letters in the stove.
The virus spreads through the air.
A gay tune came from the fiddle.
What is your name and where do you live?""",
    ("insults of one person", 1): """
You are a complete idiot.
He is such a loser, nobody likes him.
Shut up, moron.
You make me sick, you disgusting liar.
What a pathetic little worm you are.
Go to hell and never come back, you bastard.
She is an ugly, stupid cow.
You dumb piece of garbage.
My boss is a fucking asshole.
Nobody asked you, clown.
You are too stupid to tie your own shoes.
Kill yourself, nobody would care.
Get lost, you filthy pig.
You suck at everything, loser.
What kind of imbecile wrote this?
He is a spineless coward and a jerk.
You're a dick.
Eat shit and die.
I hope you choke on your dinner, you creep.
You stupid, arrogant fool.""",
    ("threats to one person", 1): """
I will find you and I will kill you.
I'm going to smash your face in.
You will regret this when I burn your house down.
Next time I see you I will break both your legs.
Sleep with one eye open, because I am coming for you.
I swear I'll stab him if he comes near me.
You deserve to be shot.
I know where you live, and you will bleed.
Keep talking and I will knock your teeth out.
We are going to hunt you down like a dog.""",
    ("slurs", 1): """
Go away, you filthy faggot.
All those retards should be locked up.
Look at that ugly tranny.
These bitches need to learn their place.
Dumb sluts, all of them.
I don't want a raghead next door.
Send the wetbacks home.
That cripple is a waste of space.
You fucking dyke.
What a stupid cunt she is.""",
}


def sentences() -> list[tuple[str, int, int, str, str]]:
    """Return (kind, label, number of the template, group or "", sentence)."""
    found = []
    for (kind, label), text in TEMPLATES.items():
        for number, template in enumerate(text.strip().splitlines()):
            for group, (many, one) in GROUPS.items():
                sentence = template.format(many=many, one=one)
                found.append((kind, label, number, group, sentence[0].upper() + sentence[1:]))
    for (kind, label), text in ALONE.items():
        for number, sentence in enumerate(text.strip().splitlines()):
            found.append((kind, label, number, "", sentence))
    return found
