/// Prompts as people write them, with the language each is in; written for this test, so the model has not seen them.
///
/// scripts/evaluate-language-model reads the table too: one prompt a line, under its language's code.
struct Prompt {
    let code: String
    let text: String

    static let all: [Prompt] = {
        var code = ""
        var prompts: [Prompt] = []
        for line in table.split(separator: "\n") {
            if line.hasPrefix("# ") {
                code = String(line.dropFirst(2))
            } else {
                prompts.append(Prompt(code: code, text: String(line)))
            }
        }
        return prompts
    }()

    private static let table = """
        # en
        how are you
        What time is it?
        thanks a lot
        fix this bug please
        Who wrote Hamlet?
        Write a short poem about the sea
        How do I install Docker on my laptop?
        summarize the following text in three bullet points
        What is the capital of Australia?
        Can you help me write a cover letter?
        Explain the difference between a process and a thread to a beginner.
        I have two job offers and I cannot decide which one to take, what should I ask myself?
        Write a Python function that reads a CSV file and returns the average of every column.
        My daughter has a fever since yesterday evening, when should we see a doctor?
        Translate this sentence into formal English and explain what you changed and why.
        # de
        wie geht es dir
        Guten Morgen zusammen
        Was kostet das?
        danke für die Hilfe
        Wie spät ist es?
        Schreibe ein Gedicht über den Herbst
        Wie installiere ich Docker auf meinem Rechner?
        Kannst du mir bei meiner Bewerbung helfen?
        Was ist die Hauptstadt von Australien?
        Erkläre mir den Unterschied zwischen Prozess und Thread
        Fasse den folgenden Text bitte in drei kurzen Sätzen zusammen und nenne die wichtigsten Zahlen.
        Ich habe zwei Angebote bekommen und weiß nicht, welches ich annehmen soll.
        Schreibe eine Funktion in Python, die eine Datei einliest und die Zeilen zählt.
        Meine Tochter hat seit gestern Abend Fieber, wann sollten wir zum Arzt gehen?
        Welche Versicherungen braucht man in Deutschland wirklich und welche kann man sich sparen?
        # fr
        comment ça va
        Bonjour tout le monde
        Quelle heure est-il ?
        merci beaucoup
        où est la gare
        Écris un poème sur la mer
        Comment installer Docker sur mon ordinateur ?
        Quelle est la capitale de l'Australie ?
        Peux-tu corriger les fautes de ce texte ?
        Donne-moi une recette avec des pommes de terre
        Explique-moi la différence entre un processus et un fil d'exécution.
        J'ai reçu deux propositions d'embauche et je ne sais pas laquelle choisir.
        Écris une fonction Python qui lit un fichier et compte les lignes vides.
        Ma fille a de la fièvre depuis hier soir, quand faut-il consulter un médecin ?
        Résume le texte suivant en trois phrases et indique les chiffres les plus importants.
        # es
        cómo estás
        ¿Qué hora es?
        muchas gracias
        buenos días a todos
        ¿Dónde está el baño?
        Escribe un poema sobre el mar
        ¿Cómo instalo Docker en mi ordenador?
        ¿Cuál es la capital de Australia?
        Corrige los errores de este texto
        Dame una receta sencilla con patatas y huevos
        Explícame la diferencia entre un proceso y un hilo como si tuviera diez años.
        Tengo dos ofertas de trabajo y no sé cuál debería aceptar.
        Escribe una función en Python que lea un archivo y cuente las líneas vacías.
        Mi hija tiene fiebre desde ayer por la noche, ¿cuándo debemos ir al médico?
        Resume el siguiente texto en tres frases y menciona las cifras más importantes.
        # it
        come stai
        Che ore sono?
        grazie mille
        buongiorno a tutti
        Dov'è la stazione?
        Scrivi una poesia sul mare
        Come si installa Docker sul mio computer?
        Qual è la capitale dell'Australia?
        Correggi gli errori in questo testo
        Dammi una ricetta veloce con le zucchine
        Spiegami la differenza tra un processo e un thread con un esempio.
        Ho ricevuto due offerte di lavoro e non so quale accettare.
        Scrivi una funzione in Python che legge un file e conta le righe vuote.
        Mia figlia ha la febbre da ieri sera, quando dobbiamo andare dal medico?
        Riassumi il seguente testo in tre frasi e indica le cifre più importanti.
        # pt
        como você está
        Que horas são?
        muito obrigado
        bom dia a todos
        Onde fica o banheiro?
        Escreva um poema sobre o mar
        Como instalo o Docker no meu computador?
        Qual é a capital da Austrália?
        Corrija os erros deste texto, por favor
        Quero uma receita simples com frango
        Explique a diferença entre um processo e uma thread para um iniciante.
        Recebi duas propostas de emprego e não sei qual devo aceitar.
        Escreva uma função em Python que leia um arquivo e conte as linhas vazias.
        Minha filha está com febre desde ontem à noite, quando devemos ir ao médico?
        Resuma o texto a seguir em três frases e destaque os números mais importantes.
        # nl
        hoe gaat het
        Hoe laat is het?
        dank je wel
        goedemorgen allemaal
        Waar is het station?
        Schrijf een gedicht over de zee
        Hoe installeer ik Docker op mijn laptop?
        Wat is de hoofdstad van Australië?
        Verbeter de fouten in deze tekst
        Geef me een eenvoudig recept met aardappelen
        Leg het verschil uit tussen een proces en een thread voor een beginner.
        Ik heb twee aanbiedingen gekregen en weet niet welke ik moet kiezen.
        Schrijf een functie in Python die een bestand leest en de lege regels telt.
        Mijn dochter heeft sinds gisteravond koorts, wanneer moeten we naar de dokter?
        Vat de volgende tekst samen in drie zinnen en noem de belangrijkste cijfers.
        # sv
        hur mår du
        Vad är klockan?
        tack så mycket
        god morgon allihop
        Var ligger stationen?
        Skriv en dikt om havet
        Hur installerar jag Docker på min dator?
        Vad heter huvudstaden i Australien?
        Rätta felen i den här texten
        Ge mig ett enkelt recept med potatis
        Förklara skillnaden mellan en process och en tråd för en nybörjare.
        Jag har fått två jobberbjudanden och vet inte vilket jag ska välja.
        Skriv en funktion i Python som läser en fil och räknar tomma rader.
        Min dotter har haft feber sedan i går kväll, när ska vi söka läkare?
        Sammanfatta följande text i tre meningar och nämn de viktigaste siffrorna.
        # da
        hvordan går det
        Hvad er klokken?
        mange tak for hjælpen
        Hvor ligger banegården?
        Skriv et digt om havet og efteråret
        Hvordan installerer jeg Docker på min computer?
        Hvad hedder hovedstaden i Australien?
        Ret fejlene i denne tekst
        Giv mig en nem opskrift med kartofler
        Forklar forskellen på en proces og en tråd for en nybegynder.
        Jeg har fået to jobtilbud og ved ikke, hvilket et jeg skal vælge.
        Skriv en funktion i Python, der læser en fil og tæller de tomme linjer.
        Min datter har haft feber siden i går aftes, hvornår skal vi gå til lægen?
        Sammenfat den følgende tekst i tre sætninger og nævn de vigtigste tal.
        Hvilke ting skal jeg være opmærksom på, når jeg køber en brugt bil?
        # no
        hvordan har du det
        Hva er klokka?
        tusen takk for hjelpen
        Hvor ligger jernbanestasjonen?
        Skriv et dikt om havet og høsten
        Hvordan installerer jeg Docker på maskinen min?
        Hva heter hovedstaden i Australia?
        Rett opp feilene i denne teksten
        Gi meg en enkel oppskrift med poteter
        Forklar forskjellen mellom en prosess og en tråd for en nybegynner.
        Jeg har fått to jobbtilbud og vet ikke hvilket jeg bør velge.
        Skriv en funksjon i Python som leser en fil og teller tomme linjer.
        Datteren min har hatt feber siden i går kveld, når bør vi gå til legen?
        Oppsummer teksten nedenfor i tre setninger og nevn de viktigste tallene.
        Hva bør jeg være oppmerksom på når jeg kjøper bruktbil?
        # fi
        mitä kuuluu
        Paljonko kello on?
        kiitos paljon
        Missä on rautatieasema?
        Kirjoita runo merestä
        Miten asennan Dockerin tietokoneelleni?
        Mikä on Australian pääkaupunki?
        Korjaa tämän tekstin virheet
        Anna helppo resepti perunoista
        Voitko auttaa minua työhakemuksen kanssa?
        Selitä prosessin ja säikeen ero aloittelijalle esimerkin avulla.
        Sain kaksi työtarjousta enkä tiedä, kumpi minun pitäisi valita.
        Kirjoita Pythonilla funktio, joka lukee tiedoston ja laskee tyhjät rivit.
        Tyttärelläni on ollut kuumetta eilisillasta asti, milloin pitää mennä lääkäriin?
        Tiivistä seuraava teksti kolmeen lauseeseen ja mainitse tärkeimmät luvut.
        # pl
        jak się masz
        Która jest godzina?
        dziękuję bardzo
        dzień dobry wszystkim
        Gdzie jest dworzec?
        Napisz wiersz o morzu
        Jak zainstalować Dockera na moim komputerze?
        Jaka jest stolica Australii?
        Popraw błędy w tym tekście
        Podaj prosty przepis na zupę pomidorową
        Wyjaśnij różnicę między procesem a wątkiem osobie początkującej.
        Dostałem dwie oferty pracy i nie wiem, którą powinienem przyjąć.
        Napisz funkcję w Pythonie, która wczytuje plik i liczy puste wiersze.
        Moja córka ma gorączkę od wczoraj wieczorem, kiedy powinniśmy iść do lekarza?
        Streść poniższy tekst w trzech zdaniach i podaj najważniejsze liczby.
        # cs
        jak se máš
        Kolik je hodin?
        děkuji moc
        dobrý den všem
        Kde je nádraží?
        Napiš báseň o moři
        Jak nainstaluji Docker na svůj počítač?
        Jaké je hlavní město Austrálie?
        Oprav chyby v tomto textu
        Můžeš mi poradit jednoduchý recept?
        Vysvětli začátečníkovi rozdíl mezi procesem a vláknem.
        Dostal jsem dvě pracovní nabídky a nevím, kterou mám přijmout.
        Napiš funkci v Pythonu, která přečte soubor a spočítá prázdné řádky.
        Moje dcera má od včerejšího večera horečku, kdy bychom měli jít k lékaři?
        Shrň následující text do tří vět a uveď nejdůležitější čísla.
        # sk
        ako sa máš
        Koľko je hodín?
        ďakujem veľmi pekne
        Kde je železničná stanica?
        Napíš báseň o mori
        Ako si nainštalujem Docker na svoj počítač?
        Aké je hlavné mesto Austrálie?
        Oprav chyby v tomto texte
        Vysvetli začiatočníkovi rozdiel medzi procesom a vláknom.
        Dostal som dve pracovné ponuky a neviem, ktorú mám prijať.
        Napíš funkciu v Pythone, ktorá prečíta súbor a spočíta prázdne riadky.
        Moja dcéra má od včera večera horúčku, kedy by sme mali ísť k lekárovi?
        Zhrň nasledujúci text do troch viet a uveď najdôležitejšie čísla.
        # hu
        hogy vagy ma
        Hány óra van?
        köszönöm szépen
        jó reggelt mindenkinek
        Hol van a pályaudvar?
        Írj egy verset a tengerről
        Hogyan telepítsem a Dockert a gépemre?
        Mi Ausztrália fővárosa?
        Javítsd ki a hibákat ebben a szövegben
        Adj egy egyszerű receptet burgonyából
        Magyarázd el egy kezdőnek a folyamat és a szál közötti különbséget.
        Két állásajánlatot kaptam, és nem tudom, melyiket fogadjam el.
        Írj egy Python függvényt, amely beolvas egy fájlt és megszámolja az üres sorokat.
        A lányomnak tegnap este óta láza van, mikor menjünk orvoshoz?
        Foglald össze a következő szöveget három mondatban, és említsd meg a fontos számokat.
        # ro
        ce mai faci
        Cât este ceasul?
        mulțumesc foarte mult
        Unde este gara?
        Scrie o poezie despre mare
        Cum instalez Docker pe calculatorul meu?
        Care este capitala Australiei?
        Corectează greșelile din acest text
        Dă-mi o rețetă simplă cu cartofi
        Explică-i unui începător diferența dintre un proces și un fir de execuție.
        Am primit două oferte de muncă și nu știu pe care să o accept.
        Scrie o funcție în Python care citește un fișier și numără rândurile goale.
        Fiica mea are febră de aseară, când ar trebui să mergem la medic?
        Rezumă textul următor în trei propoziții și menționează cifrele cele mai importante.
        Ce lucruri trebuie sa verific inainte sa cumpar o masina folosita?
        # tr
        nasılsın bugün
        Saat kaç?
        çok teşekkür ederim
        herkese günaydın
        Tren istasyonu nerede?
        Deniz hakkında bir şiir yaz
        Bilgisayarıma Docker nasıl kurulur?
        Avustralya'nın başkenti neresidir?
        Bu metindeki hataları düzelt
        Patatesle yapılan kolay bir tarif ver
        Yeni başlayan birine süreç ile iş parçacığı arasındaki farkı açıkla.
        İki iş teklifi aldım ve hangisini kabul etmem gerektiğini bilmiyorum.
        Python'da bir dosyayı okuyup boş satırları sayan bir fonksiyon yaz.
        Kızımın dün akşamdan beri ateşi var, ne zaman doktora gitmeliyiz?
        Aşağıdaki metni üç cümleyle özetle ve en önemli sayıları belirt.
        # id
        apa kabar semuanya
        Jam berapa sekarang?
        terima kasih banyak
        Di mana stasiun kereta api?
        Tulis puisi tentang laut
        Bagaimana cara memasang Docker di laptop saya?
        Apa ibu kota Australia?
        Tolong perbaiki kesalahan dalam teks ini
        Berikan resep sederhana dari kentang
        Jelaskan perbedaan antara proses dan thread kepada pemula.
        Saya mendapat dua tawaran kerja dan bingung harus memilih yang mana.
        Buatkan fungsi Python yang membaca berkas dan menghitung baris kosong.
        Anak saya demam sejak tadi malam, kapan kami harus pergi ke dokter?
        Ringkas teks berikut dalam tiga kalimat dan sebutkan angka yang paling penting.
        Gimana caranya biar nggak gampang capek kalau kerja seharian?
        # vi
        bạn có khỏe không
        Bây giờ là mấy giờ?
        cảm ơn bạn rất nhiều
        Nhà ga ở đâu?
        Viết một bài thơ về biển
        Làm thế nào để cài đặt Docker trên máy tính của tôi?
        Thủ đô của Úc là gì?
        Sửa lỗi chính tả trong đoạn văn này
        Cho tôi một công thức nấu ăn đơn giản với khoai tây
        Giải thích sự khác nhau giữa tiến trình và luồng cho người mới học.
        Tôi nhận được hai lời mời làm việc và không biết nên chọn cái nào.
        Viết một hàm Python đọc một tập tin và đếm số dòng trống.
        Con gái tôi bị sốt từ tối qua, khi nào chúng tôi nên đi khám bác sĩ?
        Tóm tắt đoạn văn sau thành ba câu và nêu những con số quan trọng nhất.
        Hãy gợi ý vài món quà sinh nhật cho mẹ tôi
        # ru
        как дела
        Который час?
        большое спасибо
        доброе утро
        Где находится вокзал?
        Напиши стихотворение о море
        Как установить Docker на мой ноутбук?
        Какая столица у Австралии?
        Исправь ошибки в этом тексте
        Дай простой рецепт из картошки
        Объясни новичку разницу между процессом и потоком.
        Мне предложили две работы, и я не знаю, какую выбрать.
        Напиши функцию на Python, которая читает файл и считает пустые строки.
        У моей дочери со вчерашнего вечера температура, когда нужно идти к врачу?
        Перескажи следующий текст в трёх предложениях и укажи самые важные числа.
        # uk
        як справи
        Котра година?
        дуже дякую
        доброго ранку всім
        Де знаходиться вокзал?
        Напиши вірш про море
        Як встановити Docker на мій комп'ютер?
        Яка столиця Австралії?
        Виправ помилки в цьому тексті
        Дай простий рецепт із картоплі
        Поясни початківцю різницю між процесом і потоком.
        Мені запропонували дві роботи, і я не знаю, яку обрати.
        Напиши функцію на Python, яка читає файл і рахує порожні рядки.
        У моєї доньки від учорашнього вечора температура, коли треба йти до лікаря?
        Перекажи наступний текст трьома реченнями та вкажи найважливіші числа.
        # bg
        как си днес
        Колко е часът?
        много благодаря
        Къде е гарата?
        Напиши стихотворение за морето
        Как да инсталирам Docker на моя компютър?
        Коя е столицата на Австралия?
        Поправи грешките в този текст
        Дай ми лесна рецепта с картофи
        Обясни на начинаещ разликата между процес и нишка.
        Получих две предложения за работа и не знам кое да приема.
        Напиши функция на Python, която чете файл и брои празните редове.
        Дъщеря ми има температура от снощи, кога трябва да отидем на лекар?
        Обобщи следния текст в три изречения и посочи най-важните числа.
        # el
        τι κάνεις
        Τι ώρα είναι;
        ευχαριστώ πολύ
        Γράψε ένα ποίημα για τη θάλασσα
        Πώς εγκαθιστώ το Docker στον υπολογιστή μου;
        Ποια είναι η πρωτεύουσα της Αυστραλίας;
        # ar
        كيف حالك
        كم الساعة الآن؟
        شكرا جزيلا
        أين تقع محطة القطار؟
        اكتب قصيدة عن البحر
        كيف أثبت برنامج Docker على حاسوبي؟
        ما هي عاصمة أستراليا؟
        صحح الأخطاء في هذا النص
        أعطني وصفة سهلة بالبطاطس
        اشرح الفرق بين العملية والخيط لشخص مبتدئ.
        حصلت على عرضي عمل ولا أعرف أيهما أختار.
        اكتب دالة بلغة بايثون تقرأ ملفا وتحسب عدد الأسطر الفارغة.
        ابنتي تعاني من الحمى منذ مساء أمس، متى يجب أن نذهب إلى الطبيب؟
        لخص النص التالي في ثلاث جمل واذكر أهم الأرقام الواردة فيه.
        # fa
        حال شما چطور است
        ساعت چند است؟
        خیلی ممنون
        ایستگاه قطار کجاست؟
        یک شعر درباره دریا بنویس
        چگونه داکر را روی رایانه خود نصب کنم؟
        پایتخت استرالیا کجاست؟
        اشتباهات این متن را اصلاح کن
        یک دستور پخت ساده با سیب زمینی به من بده
        تفاوت فرآیند و رشته را برای یک فرد مبتدی توضیح بده.
        دو پیشنهاد کاری گرفته‌ام و نمی‌دانم کدام را قبول کنم.
        دخترم از دیشب تب دارد، چه زمانی باید پیش دکتر برویم؟
        # ur
        آپ کیسے ہیں
        کیا وقت ہوا ہے؟
        بہت بہت شکریہ
        سمندر کے بارے میں ایک نظم لکھیں
        آسٹریلیا کا دارالحکومت کیا ہے؟
        میری بیٹی کو کل رات سے بخار ہے، ہمیں ڈاکٹر کے پاس کب جانا چاہیے؟
        # he
        מה שלומך
        מה השעה עכשיו?
        תודה רבה
        כתוב שיר על הים
        איך מתקינים דוקר על המחשב שלי?
        # hi
        आप कैसे हैं
        अभी क्या समय हुआ है?
        बहुत बहुत धन्यवाद
        समुद्र पर एक कविता लिखो
        ऑस्ट्रेलिया की राजधानी क्या है?
        इस पाठ की गलतियाँ ठीक करो
        मुझे आलू की कोई आसान रेसिपी बताओ
        मेरी बेटी को कल रात से बुखार है, हमें डॉक्टर के पास कब जाना चाहिए?
        # mr
        तू कसा आहेस
        आता किती वाजले आहेत?
        समुद्रावर एक कविता लिहा
        ऑस्ट्रेलियाची राजधानी कोणती आहे?
        माझ्या मुलीला काल रात्रीपासून ताप आहे, आम्ही डॉक्टरांकडे कधी जावे?
        # bn
        আপনি কেমন আছেন
        সমুদ্র নিয়ে একটি কবিতা লিখুন
        অস্ট্রেলিয়ার রাজধানী কী?
        # ta
        நீங்கள் எப்படி இருக்கிறீர்கள்
        கடலைப் பற்றி ஒரு கவிதை எழுது
        # te
        మీరు ఎలా ఉన్నారు
        సముద్రం గురించి ఒక కవిత రాయండి
        # th
        สบายดีไหม
        ตอนนี้กี่โมงแล้ว
        เขียนบทกวีเกี่ยวกับทะเลให้หน่อย
        # zh
        你好
        现在几点了？
        非常感谢
        写一首关于大海的诗
        如何在我的电脑上安装 Docker？
        澳大利亚的首都是哪里？
        請幫我修改這段文字的錯誤
        用 Python 写一个函数，读取 CSV 文件并计算每一列的平均值。
        我女儿从昨晚开始发烧，我们什么时候应该去看医生？
        # ja
        お元気ですか
        今何時ですか？
        海についての詩を書いてください
        パソコンに Docker をインストールする方法を教えて
        東京の天気は？
        次の文章を三つの文に要約してください。
        # ko
        안녕하세요
        지금 몇 시예요?
        바다에 관한 시를 써 줘
        내 컴퓨터에 Docker를 어떻게 설치하나요?
        # ca
        com estàs avui
        Quina hora és?
        moltes gràcies a tothom
        Escriu un poema sobre el mar
        Com puc instal·lar Docker al meu ordinador?
        Quina és la capital d'Austràlia?
        La meva filla té febre des d'ahir a la nit, quan hem d'anar al metge?
        # hr
        kako si danas
        Koliko je sati?
        Gdje je željeznički kolodvor?
        Napiši pjesmu o moru
        Kako mogu instalirati Docker na svoje računalo?
        Objasni početniku razliku između procesa i dretve na jednostavnom primjeru.
        # sr
        како си данас
        Колико је сати?
        Напиши песму о мору
        Како да инсталирам Докер на свој рачунар?
        Моја ћерка има температуру од синоћ, када треба да идемо код лекара?
        # sl
        kako se imaš
        Koliko je ura?
        najlepša hvala za pomoč
        Napiši pesem o morju
        Kako namestim Docker na svoj računalnik?
        Moja hči ima od sinoči vročino, kdaj naj gremo k zdravniku?
        # et
        kuidas sul läheb
        Mis kell on?
        Kirjuta luuletus merest
        Kuidas ma saan Dockeri oma arvutisse paigaldada?
        Mu tütrel on eilsest õhtust saadik palavik, millal peaksime arsti juurde minema?
        # lv
        kā tev klājas
        Cik ir pulkstenis?
        Uzraksti dzejoli par jūru
        Kā es varu uzstādīt Docker savā datorā?
        Manai meitai kopš vakardienas vakara ir drudzis, kad mums jāiet pie ārsta?
        # lt
        kaip tau sekasi
        Kiek dabar valandų?
        Parašyk eilėraštį apie jūrą
        Kaip įdiegti Docker mano kompiuteryje?
        Mano dukra nuo vakar vakaro karščiuoja, kada turėtume eiti pas gydytoją?
        # sq
        si jeni sot
        Sa është ora?
        Shkruaj një poezi për detin
        Si mund ta instaloj Docker në kompjuterin tim?
        Vajza ime ka temperaturë që mbrëmë, kur duhet të shkojmë te mjeku?
        # sw
        habari yako leo
        Sasa ni saa ngapi?
        Andika shairi kuhusu bahari
        Ninawezaje kusakinisha Docker kwenye kompyuta yangu?
        Binti yangu ana homa tangu jana usiku, tunapaswa kwenda kwa daktari lini?
        # tl
        kumusta ka na
        Anong oras na ngayon?
        Sumulat ka ng tula tungkol sa dagat
        Paano ko mai-install ang Docker sa aking kompyuter?
        May lagnat ang anak ko mula kagabi, kailan kami dapat pumunta sa doktor?
        # af
        hoe gaan dit met jou
        Hoe laat is dit nou?
        Skryf 'n gedig oor die see
        Hoe installeer ek Docker op my rekenaar?
        My dogter het sedert gisteraand koors, wanneer moet ons dokter toe gaan?
        # ms
        apakah khabar semua
        Pukul berapa sekarang?
        Tulis sajak tentang laut dan pantai
        Bagaimanakah cara untuk memasang Docker pada komputer saya?
        Anak perempuan saya demam sejak malam tadi, bilakah kami perlu berjumpa doktor?
        # is
        hvernig hefur þú það
        Hvað er klukkan?
        Skrifaðu ljóð um hafið
        Hvernig set ég upp Docker á tölvunni minni?
        # az
        necəsən bu gün
        Saat neçədir?
        Dəniz haqqında bir şeir yaz
        Kompüterimə Docker necə quraşdırım?
        # be
        як твае справы
        Колькі часу?
        Напішы верш пра мора
        Як усталяваць Docker на мой камп'ютар?
        # mk
        како си денес
        Колку е часот?
        Напиши песна за морето
        Како да инсталирам Docker на мојот компјутер?
        # kk
        қалың қалай
        Қазір сағат неше?
        Теңіз туралы өлең жаз
        # ka
        როგორ ხარ
        დაწერე ლექსი ზღვაზე
        # hy
        ինչպես ես
        Գրիր բանաստեղծություն ծովի մասին
        """
}
